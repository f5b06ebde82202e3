/** The retention of the oplog on a real server, with a host that is simulated. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import type { Session } from '../contract/sessions.ts';
import type { TaskInput } from '../contract/tasks.ts';
import { failWith, makePoint, untilStopped } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const at = (t: number) => ({ t, i: 1 });

async function applied(platform: ServerPlatform): Promise<Session> {
  const { id } = await platform.ask('retention.run', { params: { set: 'rs0' } });
  return await until('retention to be applied', 20_000, async () => {
    const session = await platform.ask('session.show', { params: { session: id } });
    return ['success', 'warning', 'failed'].includes(session.state) ? session : undefined;
  }, { everyMs: 20 });
}

test('oplog that is not needed is shown before it goes, goes by the rule, and its bytes wait while a session may read them, as do slices that were merged', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.points.push({ ...makePoint(platform.fake), id: 'old' });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  platform.fake.oplogGoes.push({ chain: 'c1', after: at(100), through: at(900), slices: 4, bytes: 1234 });
  const without = (await platform.ask('retention.preview', { params: { set: 'rs0' } })).oplog;
  assert.deepEqual([without.rule, without.goes], [null, []]);
  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, retention: { oplog: { kind: 'days', days: 3 } } } });
  const { rule, goes } = (await platform.ask('retention.preview', { params: { set: 'rs0' } })).oplog;
  assert.deepEqual([rule, goes.map(({ bytes }) => bytes)], [{ kind: 'days', days: 3 }, [1234]]);

  platform.fake.oplogParts = 16;
  let end = (): void => {};
  platform.fake.scripts['oplog-find'] = async () => {
    await new Promise<void>((resolve) => (end = resolve));
    return { matches: [], examined: 0, truncated: false, searchedThrough: null };
  };
  const search = await platform.ask('oplog.find', { params: { set: 'rs0' }, body: { ns: null, op: null, match: null, since: null, until: null, limit: 10 } });
  await until('the search to be at work', 20_000, () => (platform.fake.begun.some(({ kind }) => kind === 'oplog-find') ? true : undefined), { everyMs: 20 });
  const first = (await applied(platform)).result;
  assert.ok(first?.kind === 'retention');
  assert.deepEqual([first.oplogBytes, first.oplogWaiting, first.oplogMerged], [0, 1, { slices: 16, into: 1, files: 20 }]);
  end();
  await until('the search to end', 20_000, async () => ((await platform.ask('session.show', { params: { session: search.id } })).state === 'success' ? true : undefined), { everyMs: 20 });
  const second = (await applied(platform)).result;
  assert.ok(second?.kind === 'retention');
  assert.deepEqual([second.oplogBytes, second.oplogWaiting, platform.fake.oplogCut, second.oplogMerged], [33, 0, [], { slices: 16, into: 1, files: 4 }]);
});

test('retention that meets a sweep has done its work, and the space comes back in the next night', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  for (const age of [9, 4, 3, 2]) platform.fake.points.push({ ...makePoint(platform.fake), id: `old-${age}`, createdAtMs: systemClock.now() - age * 86_400_000, proof: { level: 'open', atMs: 0, ok: true, says: '' } });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, retention: { keep: { kind: 'days', days: 5 } } } });
  await platform.ask('repository.sweeps', { params: { repository: 'default' }, body: { days: 7 } });
  const nextMs = async (): Promise<number> => (await platform.ask('repository.show', { params: { repository: 'default' } })).sweeps!.nextAtMs! - systemClock.now();
  assert.ok((await nextMs()) > 5 * 86_400_000);
  platform.fake.scripts.sweep = async () => await Promise.reject(failWith('repository.sweep-running', 'another sweep of set rs0 is running'));
  const { id, state, result, failure } = await applied(platform);
  assert.deepEqual([state, failure], ['success', null]);
  assert.ok(result?.kind === 'retention');
  assert.deepEqual([result.deleted, platform.fake.points.map((point) => point.id)], [['old-9'], ['old-4', 'old-3', 'old-2']]);
  assert.match(JSON.stringify(await platform.events(id)), /a sweep works on the archive: the space of deleted points comes back with the next one/);
  assert.ok((await nextMs()) < 2 * 86_400_000);
});

test('oplog that cannot be seen to keeps no space of deleted points back, and the session says what failed', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  for (const age of [9, 4, 3, 2]) platform.fake.points.push({ ...makePoint(platform.fake), id: `old-${age}`, createdAtMs: systemClock.now() - age * 86_400_000, proof: { level: 'open', atMs: 0, ok: true, says: '' } });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, retention: { keep: { kind: 'days', days: 5 }, oplog: { kind: 'days', days: 3 } } } });
  platform.fake.scripts['tend-oplog'] = async () => await Promise.reject(failWith('repository.oplog-damaged', 'slice 7 is damaged'));
  const { state, failure } = await applied(platform);
  assert.deepEqual([state, failure?.code], ['failed', 'repository.oplog-damaged']);
  assert.deepEqual([platform.fake.points.map(({ id }) => id), platform.fake.begun.filter(({ kind }) => kind === 'sweep').length], [['old-4', 'old-3', 'old-2'], 1]);
});

test('a retention whose server is killed behind any of its steps deletes what it would have, each once, and gives the space back', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const { fake } = platform;
  for (const age of [9, 4, 3, 2]) fake.points.push({ ...makePoint(fake), id: `old-${age}`, createdAtMs: systemClock.now() - age * 86_400_000, proof: { level: 'open', atMs: 0, ok: true, says: '' } });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, retention: { keep: { kind: 'days', days: 5 }, oplog: { kind: 'days', days: 3 } } } });
  // The repository has deleted the point, and the server dies before it hears of it.
  let killed: Promise<void> | undefined;
  let deletions = 0;
  fake.points.splice = (...given: unknown[]) => {
    deletions++;
    killed ??= platform.restartServer();
    return Array.prototype.splice.apply(fake.points, given as [number, number]) as typeof fake.points;
  };
  const kinds = ['sweep', 'tend-oplog'] as const;
  const gates = new Map(kinds.map((kind) => [kind, Promise.withResolvers<void>()]));
  for (const kind of kinds) {
    const usual = fake.scripts[kind] as (...given: unknown[]) => Promise<never>;
    fake.scripts[kind] = async (input: unknown, voice: Parameters<typeof untilStopped>[0]) => {
      await Promise.race([gates.get(kind)!.promise, untilStopped(voice)]);
      return await usual(input, voice);
    };
  }
  const begun = (kind: string): number => fake.begun.filter((task) => task.kind === kind).length;
  // The server may die before it answers.
  await platform.ask('retention.run', { params: { set: 'rs0' } }).catch(() => {});
  for (const kind of kinds) {
    await until(`the ${kind}`, 20_000, () => (begun(kind) > 0 ? true : undefined), { everyMs: 20 });
    await killed;
    await platform.restartServer();
    gates.get(kind)!.resolve();
  }
  const [session, ...others] = (await platform.ask('session.list', { query: { kind: 'retention' } })).sessions;
  const { state, result } = await platform.ended(session!.id);
  assert.ok(result?.kind === 'retention' && others.length === 0);
  const tended = fake.begun.flatMap(({ kind, input }) => (kind === 'tend-oplog' ? [(input as TaskInput<'tend-oplog'>).wish.what] : []));
  assert.deepEqual([state, result.deleted, deletions, begun('sweep'), tended], ['success', ['old-9'], 1, 1, ['cut', 'merge']]);
  assert.deepEqual((await platform.ask('point.list', { query: { set: 'rs0' } })).points.map(({ id: point }) => point).sort(), ['old-2', 'old-3', 'old-4']);
});

test('slices are merged in lots; what fails there is a warning of the session, and what was freed is told', async () => {
  await using platform = await openServerPlatform({}, { hostVersion: '9.9.9' });
  await platform.addSet();
  const { fake } = platform;
  fake.points.push({ ...makePoint(fake), id: 'old' });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, retention: { oplog: { kind: 'days', days: 3 } } } });
  const tended = (): string[] => fake.begun.splice(0).flatMap(({ kind, input }) => (kind === 'tend-oplog' ? [(input as TaskInput<'tend-oplog'>).wish.what] : []));
  const messages = async ({ id }: Session): Promise<string> => JSON.stringify(await platform.events(id));
  const usual = fake.scripts['tend-oplog'];
  const full = [{ chain: 'c1', after: at(950), through: at(990) }];
  let left = [200, 100, 0];
  fake.scripts['tend-oplog'] = async (input, voice) => {
    const { wish } = input;
    if (wish.what === 'merge') return { what: 'merge', slices: 64, into: 2, bytes: 500, files: 300, full, left: left.shift() ?? 0, held: null, stays: 0 };
    if (wish.what === 'remove-merged') return { what: 'remove-merged', slices: 64, freedBytes: 1000, stays: 0 };
    return await usual(input, voice);
  };
  const inLots = await applied(platform);
  assert.ok(inLots.result?.kind === 'retention');
  assert.deepEqual([inLots.state, inLots.result.oplogMerged, tended()], ['success', { slices: 192, into: 6, files: 236 }, ['cut', 'merge', 'remove-merged', 'merge', 'remove-merged', 'merge', 'remove-merged']]);

  left = Array.from({ length: 99 }, () => 100);
  const much = await applied(platform);
  assert.equal(tended().filter((what) => what === 'merge').length, 16);
  assert.match(await messages(much), /100 more slices of oplog are merged by the next run/);

  fake.oplogGoes.push({ chain: 'c1', after: at(100), through: at(900), slices: 4, bytes: 1234 });
  fake.scripts['tend-oplog'] = async (input, voice) => (input.wish.what === 'merge' ? await Promise.reject(failWith('agent.order-not-understood', 'it knows no merge')) : await usual(input, voice));
  const failed = await applied(platform);
  assert.ok(failed.result?.kind === 'retention');
  assert.deepEqual([failed.state, failed.result.oplogBytes, failed.result.oplogMerged], ['warning', 33, null]);
  assert.match(await messages(failed), /the oplog was not merged: it knows no merge/);
  fake.oplogGoes.push({ chain: 'c1', after: at(100), through: at(900), slices: 4, bytes: 1234 });
  fake.scripts['tend-oplog'] = async (input, voice) => (input.wish.what === 'merge' ? await Promise.reject(failWith('repository.sweep-running', 'a sweep works')) : await usual(input, voice));
  const swept = await applied(platform);
  assert.ok(swept.result?.kind === 'retention');
  assert.deepEqual([swept.state, swept.result.oplogBytes, swept.result.oplogMerged], ['success', 33, null]);
});

test('no oplog is merged before every host runs services as new as the server', async () => {
  await using platform = await openServerPlatform({}, { hostVersion: '9.9.8' });
  await platform.addSet();
  platform.fake.points.push({ ...makePoint(platform.fake), id: 'old' });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  platform.fake.oplogParts = 16;
  const { id, state, result } = await applied(platform);
  assert.ok(result?.kind === 'retention');
  assert.deepEqual([state, result.oplogMerged], ['success', null]);
  assert.match(JSON.stringify(await platform.events(id)), /not merged before every host runs services as new as this server \(9\.9\.9\)/);
  assert.ok(platform.fake.begun.every(({ kind, input }) => kind !== 'tend-oplog' || (input as TaskInput<'tend-oplog'>).wish.what !== 'merge'));
});

test('what leads into oplog that was cut leads nowhere else, while the follower goes on and after a restart of the server', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const { fake } = platform;
  fake.points.push({ ...makePoint(fake, { t: 1505, i: 1, term: 1 }), id: 'old', proof: { level: 'open', atMs: 0, ok: true, says: '' } });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  const standing = async () => (await platform.ask('set.show', { params: { set: 'rs0' } })).oplog;
  assert.deepEqual([(await standing()).restorableTo?.t, (await standing()).needsBase], [2000, false]);
  fake.oplogGoes.push({ chain: 'c1', after: at(1600), through: at(1900), slices: 4, bytes: 1234 });
  await applied(platform);
  fake.through = { t: 2010, i: 1, term: 1 };
  await until('the follower to tell of more', 10_000, async () => ((await standing()).through?.t === 2010 ? true : undefined), { everyMs: 20 });
  assert.deepEqual([(await standing()).restorableTo?.t, (await standing()).needsBase], [1600, true]);
  await platform.restartServer();
  fake.through = { t: 2020, i: 1, term: 1 };
  await until('the follower to tell of more', 10_000, async () => ((await standing()).through?.t === 2020 ? true : undefined), { everyMs: 20 });
  assert.deepEqual([(await standing()).restorableTo?.t, (await standing()).needsBase], [1600, true]);
});
