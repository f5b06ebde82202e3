import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { openCatalog } from '../catalog/catalog.ts';
import { failWith } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, target } from '../../test/kit/server-platform.ts';
import { sweepFlow } from './flows/sweep.ts';
import { openSweepRound, openSweeps, timeOf } from './sweeps.ts';

const dayMs = 86_400_000;
const repository = { id: 'r1', name: 'main', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: null, connections: null };

/** The rounds of a server, on a real catalog and a turned clock; its sessions are opened and do nothing. */
async function openNights() {
  const catalog = await openCatalog(':memory:');
  await catalog.repositories.add(repository);
  await catalog.repositories.add({ ...repository, id: 'r2', name: 'attached', is_attached: 1 });
  for (const id of ['r1', 'r2']) await catalog.repositories.putArchive({ repository: id, set_id: 's1', set_name: 'rs0', sealed_key: '' });
  await catalog.sets.add({ id: 's1', name: 'rs0', repository: 'r1', sealed_target: '', sign_in: 'none', hosts: '[]', discovered: '{}', added_ms: 1, refreshed_ms: 1, oplog_mode: '{}' });
  const clock = { ...systemClock, nowMs: Temporal.Instant.from('2026-05-04T12:00Z').epochMilliseconds, now: () => clock.nowMs };
  const begun: string[] = [];
  let count = 0;
  const open = async (kind: string, more: { set_id?: string; lane?: string | null; claim?: string } = {}): Promise<string> => {
    const id = `s${String(count++).padStart(3, '0')}`;
    await catalog.sessions.open({ id, kind, object_kind: 'repository', object_id: kind === 'sweep' ? 'r1' : 's1', object_name: '', set_id: null, lane: null, sealed_wish: '', created_ms: clock.nowMs, reason: null, retry_of: null, ...more });
    return id;
  };
  const end = async (id: string, as: 'success' | 'failed', result: string | null = null): Promise<void> => {
    await catalog.sessions.move(id, { kind: 'start' }, clock.nowMs);
    await catalog.sessions.move(id, { kind: 'end', as }, clock.nowMs, { result, failure: null });
  };
  let endAs: 'success' | 'failed' | undefined = 'success';
  let result: string | null = null;
  const engine = {
    start: async ({ object, reason, lane, claim }: { object: { name: string }; reason?: string; lane: string | null; claim?: string }) => {
      const id = await open('sweep', { lane, ...(claim !== undefined && { claim }) });
      begun.push(`${object.name}: ${reason}`);
      if (endAs !== undefined) await end(id, endAs, result);
      return (await catalog.sessions.find(id))!;
    },
    find: async (id: string) => (await catalog.sessions.find(id))!,
  };
  const sweeps = openSweeps({ catalog, clock, timeZone: 'UTC' });
  const round = (): (() => Promise<number>) => openSweepRound({ catalog, sweeps, engine, clock, log: silentLog, signal: new AbortController().signal });
  await round()();
  return {
    catalog, clock, open, end, sweeps,
    endAs(how: 'success' | 'failed' | undefined, made: string | null = null): void {
      endAs = how;
      result = made;
    },
    /** What was begun in so many nights, looked at often. */
    async nights(number: number): Promise<string[]> {
      begun.length = 0;
      for (const untilMs = clock.nowMs + number * dayMs; clock.nowMs < untilMs; clock.nowMs += 3 * 3_600_000) await round()();
      return [...begun];
    },
    [Symbol.asyncDispose]: catalog.close,
  };
}

test('a repository is swept each week, once, by the server that finds the week over, and one that is only read is not', async () => {
  await using scene = await openNights();
  assert.deepEqual(await scene.nights(6), []);
  assert.deepEqual(await scene.nights(1), ['main: by itself: every 7 days']);
  assert.deepEqual(await scene.nights(14), ['main: by itself: every 7 days', 'main: by itself: every 7 days']);
  scene.clock.nowMs += 30 * dayMs;
  assert.deepEqual(await scene.nights(1), ['main: by itself: every 7 days'], 'weeks that were missed are one sweep');
  await scene.sweeps.set(repository, { days: 1, at: '23:30' });
  assert.deepEqual(await scene.nights(3), Array.from({ length: 3 }, () => 'main: by itself: each night'));
  await scene.sweeps.set(repository, { days: 0, at: '23:30' });
  await scene.sweeps.want('r1');
  assert.deepEqual(await scene.nights(20), []);
});

test('what was deleted, and what a backup or a sweep left that did not end well, comes back in the next night and in none after it', async () => {
  await using scene = await openNights();
  await scene.sweeps.want('r1');
  scene.endAs('failed');
  assert.deepEqual(await scene.nights(1), ['main: by itself: restore points were deleted']);
  scene.endAs('success');
  assert.deepEqual(await scene.nights(2), ['main: by itself: the last sweep did not come to its end']);
  await scene.end(await scene.open('backup', { set_id: 's1' }), 'success');
  await scene.end(await scene.open('backup', { set_id: 'other' }), 'failed');
  assert.deepEqual(await scene.nights(1), [], 'of another repository, or whole');
  await scene.end(await scene.open('backup', { set_id: 's1' }), 'failed');
  assert.deepEqual(await scene.nights(2), ['main: by itself: a backup that did not end well may have left something']);
});

test('there are never two at once: one that somebody has begun is that of the night, and what is deleted behind it is for the next', async () => {
  await using scene = await openNights();
  const byHand = await scene.open('sweep', { lane: 'sweep:r1' });
  scene.clock.nowMs += 1_000;
  await scene.sweeps.want('r1');
  assert.deepEqual(await scene.nights(1), []);
  await scene.end(byHand, 'success');
  assert.deepEqual(await scene.nights(2), ['main: by itself: restore points were deleted']);
});

test('each repository has its own minute, within an hour behind the time, past midnight too', () => {
  const times = Array.from({ length: 50 }, (_, n) => timeOf(`r${n}`, '23:30'));
  assert.ok(new Set(times).size > 20 && times.every((at) => at >= '23:30' || at < '00:30'), times.join());
  assert.equal(timeOf('r1', '04:00'), timeOf('r1', '04:00'));
});

test('a point that is deleted has its repository swept in the next night, and whoever asks is told when', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  const next = async (): Promise<number> => (await platform.ask('repository.show', { params: { repository: 'default' } })).sweeps!.nextAtMs! - systemClock.now();
  await platform.ask('repository.sweeps', { params: { repository: 'default' }, body: { days: 7 } });
  assert.ok((await next()) > 5 * dayMs);
  await platform.ask('point.delete', { body: { points: [platform.fake.points[0]!.id], apply: true } });
  assert.ok((await next()) < 2 * dayMs);
  assert.equal((await platform.ask('repository.sweeps', { params: { repository: 'default' }, body: { days: 0 } })).sweeps?.days, null);
});

test('a sweep that meets another goes on with the next archive and says which one was left, as a warning where somebody asked for it', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.discovered = { ...platform.fake.discovered, setId: 'f'.repeat(24), name: 'rs1' };
  await platform.ask('set.add', { body: { target } });
  const swept: string[] = [];
  const usual = platform.fake.scripts.sweep;
  platform.fake.scripts.sweep = async (input, voice) => {
    swept.push(input.archive.setId);
    return swept.length === 1 ? await Promise.reject(failWith('repository.sweep-running', 'another sweep of the set is running')) : await usual(input, voice);
  };
  const { id } = await platform.ask('repository.sweep', { params: { repository: 'default' } });
  const session = await platform.ended(id);
  assert.deepEqual([session.state, session.failure, new Set(swept).size], ['warning', null, 2]);
  assert.ok(session.result?.kind === 'sweep');
  const { freedBytes, archives, left } = session.result;
  assert.deepEqual([freedBytes, archives.length, left.length, left[0]!.why], [77, 1, 1, 'another sweep of the set is running  [repository.sweep-running]']);
  assert.match(JSON.stringify(await platform.events(id)), new RegExp(`the archive of ${left[0]!.set} is left to the next sweep`));
});

test('a sweep of the night that left an archive ends well, and the next night has it', async () => {
  await using scene = await openNights();
  const left: string[] = [];
  const flow = sweepFlow({
    archives: { find: async () => await Promise.resolve({ host: 'h' }), list: async () => await Promise.resolve([{ setId: 's1', setName: 'rs0' }]) } as unknown as Parameters<typeof sweepFlow>[0]['archives'],
    sweeps: { want: async (id) => void (await Promise.resolve(left.push(id))) },
  });
  const context = { note: async (_: string, make: () => unknown) => await make(), step: async () => {}, tell: async () => {}, task: async () => await Promise.reject(failWith('repository.sweep-running', 'a sweep')) } as unknown as Parameters<typeof flow.run>[1];
  const finished = await flow.run({ repository: 'r1', isByItself: true }, context);
  assert.deepEqual([finished.state, left], ['success', ['r1']]);
  scene.endAs('success', JSON.stringify(finished.result));
  assert.deepEqual(await scene.nights(7), ['main: by itself: every 7 days']);
  scene.endAs('success');
  assert.deepEqual(await scene.nights(2), ['main: by itself: the last sweep left an archive to this one']);
});
