/** The scheduler on the real catalog: what a kill between any two of its writes leaves, its window and its limits. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import { sortableId } from '../base/ids.ts';
import { openCatalog, type Catalog } from '../catalog/catalog.ts';
import type { PolicyBook } from '../catalog/policies.ts';
import { restoreSnapshot } from '../catalog/snapshot.ts';
import { policyDocument, type GivenPolicy } from '../contract/policies.ts';
import type { SessionEnded } from '../domain/policy-run.ts';
import { nextRun } from '../domain/schedule.ts';
import { scratch } from '../../test/kit/scratch.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { openCopyLimits } from './copy-limits.ts';
import { openPolicyScheduler, type AskedBackup, type PolicyWork } from './policy-scheduler.ts';
import { openPolicyWork } from './policy-sessions.ts';

const startMs = Temporal.Instant.from('2026-11-26T10:00Z').epochMilliseconds;
const minuteMs = 60_000;

async function openScene(given: Partial<GivenPolicy> = {}) {
  const catalog: Catalog = await openCatalog(':memory:');
  const clock = turnedClock(startMs);
  const document = policyDocument.parse({ name: 'nightly', sets: ['a', 'b'], schedule: { kind: 'daily', at: '22:00' }, ...given });
  await catalog.policies.add({ id: 'p', name: 'nightly', document: JSON.stringify(document), is_enabled: 1, counts_from_ms: clock.now(), next_ms: nextRun(document.schedule, document.timeZone, clock.now()), follows: null, added_ms: clock.now() });
  const copyLimits = openCopyLimits(catalog);
  const begun = new Map<string, string>();
  const ends = new Map<string, SessionEnded>();
  const stopped: string[] = [];
  /** Sets that somebody else copies. */
  const busy = new Set<string>();
  const asked: AskedBackup[] = [];
  /** Copies that were begun for alarms and have not ended. */
  const begunFor: string[] = [];
  const work: PolicyWork = {
    documentOf: (row) => policyDocument.parse(JSON.parse(row.document)),
    sets: async (policy) => await Promise.resolve(policy.sets.map((id) => ({ id, name: id }))),
    asked: async () => await Promise.resolve(asked),
    beginAsked: async (one) => await Promise.resolve(void begunFor.push(one.set)),
    places: async (wanted) => await Promise.resolve(wanted.map(({ set }) => ({ host: set, repository: 'r' }))),
    running: async () => await Promise.resolve([...begunFor]),
    async begin(part, run) {
      if (busy.has(part.set_id)) return await Promise.resolve({ kind: 'busy' });
      const claim = `${run.id}/${part.set_id}/${part.attempt}`;
      if (!begun.has(claim)) begun.set(claim, `session ${begun.size}`);
      return await Promise.resolve({ kind: 'begun', session: begun.get(claim)! });
    },
    begunFor: async (part) => await Promise.resolve(begun.get(`${part.run}/${part.set_id}/${part.attempt}`)),
    ended: async (session) => await Promise.resolve(ends.has(session) ? { state: ends.get(session)!, says: null } : undefined),
    stop: async (session) => await Promise.resolve(void stopped.push(session)),
  };
  const server = (book: PolicyBook = catalog.policies) => openPolicyScheduler({ book, work, clock, log: silentLog, limits: copyLimits.all, newId: () => sortableId(clock) });
  const run = async () => {
    const row = (await catalog.policies.runs('p', 1))[0]!;
    return { ...row, parts: (await catalog.policies.parts(row.id)).map(({ set_id, state, attempt }) => `${set_id} ${state} ${attempt}`) };
  };
  return { catalog, clock, copyLimits, begun, ends, stopped, busy, asked, begunFor, server, run, [Symbol.asyncDispose]: catalog.close };
}

/** A book whose server is killed before or after its n-th write. */
function killedAt(book: PolicyBook, write: number, when: 'before' | 'after'): { book: PolicyBook; wasKilled: () => boolean } {
  let writes = 0;
  let isDead = false;
  const act = (name: string, call: (...args: unknown[]) => Promise<unknown>) => async (...args: unknown[]) => {
    if (isDead) throw new Error('killed');
    if (!['count', 'openRun', 'skip', 'changeRun', 'movePart', 'endRun'].includes(name)) return await call(...args);
    isDead = writes++ === write;
    if (isDead && when === 'before') throw new Error('killed');
    const answer = await call(...args);
    if (isDead) throw new Error('killed');
    return answer;
  };
  const killed = Object.fromEntries(Object.entries(book).map(([name, call]) => [name, act(name, call as never)])) as unknown as PolicyBook;
  return { book: killed, wasKilled: () => isDead };
}

test('a server killed before or after any write of a run leaves a run that ends once, with one session for each try', async () => {
  let kills = 0;
  for (const when of ['before', 'after'] as const) {
    for (let write = 0, wasKilled = true; wasKilled; write++) {
      await using scene = await openScene();
      scene.clock.turn(12 * 60 * minuteMs);
      const killed = killedAt(scene.catalog.policies, write, when);
      for (const [at, server] of [scene.server(killed.book), scene.server(), scene.server(killed.book), scene.server()].entries()) {
        await server.round().catch(() => {});
        if (at === 1) for (const session of scene.begun.values()) scene.ends.set(session, session === 'session 0' ? 'failed' : 'success');
      }
      scene.clock.turn(10 * minuteMs);
      await scene.server().round();
      for (const session of scene.begun.values()) if (!scene.ends.has(session)) scene.ends.set(session, 'success');
      await scene.server().round();
      const { state, parts, missed } = await scene.run();
      assert.deepEqual([state, missed, parts.filter((part) => part.endsWith('success 1')).length, scene.begun.size], ['success', 0, 1, 3], `${when} write ${write}`);
      assert.equal((await scene.catalog.policies.runs('p', 9)).length, 1);
      wasKilled = killed.wasKilled();
      if (wasKilled) kills++;
    }
  }
  assert.ok(kills >= 10, `${kills} kills`);
});

test('when its window closes, what works is asked to stop, the rest is cut, and nothing is tried again', async () => {
  await using scene = await openScene({ window: { from: '21:00', to: '23:00' }, sets: ['a', 'b', 'c', 'd', 'e'] });
  scene.clock.turn(12 * 60 * minuteMs);
  const server = scene.server();
  await server.round();
  assert.equal(scene.begun.size, 4, 'a repository has four at a time');
  scene.clock.turn(60 * minuteMs);
  await server.round();
  assert.equal(scene.stopped.length, 4);
  for (const session of scene.begun.values()) scene.ends.set(session, session === 'session 0' ? 'success' : 'stopped');
  await server.round();
  const { state, parts } = await scene.run();
  assert.deepEqual([state, parts], ['warning', ['a success 0', 'b cut 0', 'c cut 0', 'd cut 0', 'e cut 0']]);
});

test('limits hold from the next round: what is lowered stops nothing that runs, and what is raised lets more begin', async () => {
  await using scene = await openScene({ sets: ['a', 'b', 'c', 'd', 'e', 'f'] });
  await scene.catalog.repositories.add({ id: 'r', name: 'r', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: 3, connections: null });
  scene.clock.turn(12 * 60 * minuteMs);
  const server = scene.server();
  await server.round();
  assert.equal(scene.begun.size, 3);
  await scene.catalog.repositories.setLimits('r', { copies_at_once: 1 });
  await server.round();
  assert.deepEqual([scene.begun.size, scene.stopped], [3, []]);
  for (const session of ['session 0', 'session 1']) scene.ends.set(session, 'success');
  await server.round();
  assert.equal(scene.begun.size, 3, 'one is still at work');
  await scene.catalog.repositories.setLimits('r', { copies_at_once: 5 });
  await scene.copyLimits.setOfServer(2);
  await server.round();
  assert.equal(scene.begun.size, 4, 'two of the whole');
  await scene.copyLimits.setOfServer(50);
  await server.round();
  assert.equal(scene.begun.size, 6);
});

test('a run that is due outside its window begins when it opens, and a clock that is set back does not put it off for a year', async () => {
  await using scene = await openScene({ window: { from: '23:00', to: '01:00' } });
  scene.clock.turn(12 * 60 * minuteMs);
  const server = scene.server();
  assert.equal(await server.round(), 60 * minuteMs);
  assert.equal(scene.begun.size, 0);
  scene.clock.turn(-365 * 24 * 60 * minuteMs);
  assert.equal(await server.round(), 60 * minuteMs);
  scene.clock.turn(60 * minuteMs);
  await server.round();
  assert.equal(scene.begun.size, 2);
});

test('a part that was to be tried again by a clock which was ahead is tried when it is set right, by the same server and by the next', async () => {
  for (const ahead of [420 * minuteMs, 365 * 1440 * minuteMs]) {
    for (const isRestarted of [false, true]) {
      await using scene = await openScene({ sets: ['a', 'b', 'c'] });
      scene.busy.add('c');
      scene.clock.turn(12 * 60 * minuteMs);
      const server = scene.server();
      await server.round();
      assert.deepEqual([...scene.begun.keys()].length, 2);
      scene.clock.turn(ahead);
      scene.ends.set('session 0', 'failed');
      for (let round = 0; round < 3; round++) await server.round();
      scene.clock.turn(minuteMs - ahead);
      scene.busy.clear();
      const after = isRestarted ? scene.server() : server;
      await after.round();
      assert.deepEqual((await scene.run()).parts, ['a running 1', 'b running 0', 'c running 0']);
      scene.ends.set('session 2', 'failed');
      scene.ends.set('session 3', 'failed');
      assert.equal(await after.round(), 10 * minuteMs, 'and waits as its policy says again');
      for (let minute = 0; minute < 9; minute++) {
        scene.clock.turn(minuteMs);
        await after.round();
      }
      assert.equal(scene.begun.size, 4);
      scene.clock.turn(minuteMs);
      await after.round();
      assert.equal(scene.begun.size, 6);
    }
  }
});

test('what is due while a run of the policy is open is skipped and counted there', async () => {
  await using scene = await openScene({ schedule: { kind: 'every', minutes: 60 }, sets: ['a'] });
  const server = scene.server();
  for (let hour = 0; hour < 4; hour++) {
    scene.clock.turn(60 * minuteMs);
    await server.round();
  }
  const { state, skipped, missed } = await scene.run();
  assert.deepEqual([state, skipped, missed, scene.begun.size], ['open', 3, 0, 1]);
});

test('a run that would follow another one while one of its policy is open is skipped and counted there', async () => {
  await using scene = await openScene({ sets: ['a'] });
  const document = policyDocument.parse({ name: 'after', sets: ['b'], schedule: { kind: 'after', policy: 'p' } });
  await scene.catalog.policies.add({ id: 'q', name: 'after', document: JSON.stringify(document), is_enabled: 1, counts_from_ms: startMs, next_ms: null, follows: 'p', added_ms: startMs });
  const server = scene.server();
  for (const [day, session] of ['session 0', 'session 2', 'session 3'].entries()) {
    scene.clock.turn(day === 0 ? 12 * 60 * minuteMs : 1440 * minuteMs);
    await server.round();
    scene.ends.set(session, 'success');
    await server.round();
    await server.round();
  }
  assert.deepEqual((await scene.catalog.policies.runs('p', 9)).map(({ state }) => state), ['success', 'success', 'success']);
  assert.deepEqual((await scene.catalog.policies.runs('q', 9)).map(({ state, skipped }) => [state, skipped]), [['open', 2]]);
});

test('a part whose server was killed when it had begun a session is stopped with it when the window has closed, and says what the session says', async () => {
  for (const [end, state] of [['stopped', 'cut'], ['success', 'success']] as const) {
    await using scene = await openScene({ window: { from: '21:00', to: '23:00' }, sets: ['a'] });
    scene.clock.turn(12 * 60 * minuteMs);
    // The first write opens the run, the second would say that its part runs.
    await scene.server(killedAt(scene.catalog.policies, 1, 'before').book).round().catch(() => {});
    assert.deepEqual([[...scene.begun.values()], (await scene.run()).parts], [['session 0'], ['a waiting 0']]);
    scene.clock.turn(120 * minuteMs);
    const server = scene.server();
    await server.round();
    assert.deepEqual([scene.stopped, (await scene.run()).parts], [['session 0'], ['a running 0']]);
    scene.ends.set('session 0', end);
    await server.round();
    assert.deepEqual((await scene.run()).parts, [`a ${state} 0`]);
  }
});

test('a run that was open when the server was lost is closed by the first round of the recovered one, and its policy runs again', async () => {
  for (const schedule of [{ kind: 'every', minutes: 60 }, { kind: 'continuous' }] as const) {
    await using scene = await openScene({ schedule, sets: ['a', 'b', 'c', 'd', 'e'] });
    scene.clock.turn(60 * minuteMs);
    await scene.server().round();
    assert.equal(scene.begun.size, 4);
    const data = await mkdtemp(join(scratch, 'tm-lost-'));
    await restoreSnapshot(join(data, 'catalog.sqlite'), await scene.catalog.snapshots.take());
    const recovered = await openCatalog(join(data, 'catalog.sqlite'));
    await scene.server(recovered.policies).round();
    const [run] = await recovered.policies.runs('p', 9);
    assert.deepEqual([run!.state, (await recovered.policies.parts(run!.id)).map(({ state }) => state)], ['stopped', Array(5).fill('stopped')]);
    scene.clock.turn(60 * minuteMs);
    await scene.server(recovered.policies).round();
    assert.equal((await recovered.policies.runs('p', 9)).length, 2, schedule.kind);
    await recovered.close();
    await rm(data, { recursive: true, force: true });
  }
});

test('a session that is not there any more has failed, and there is nothing to stop', async () => {
  await using scene = await openScene();
  const work = openPolicyWork({ catalog: scene.catalog } as Parameters<typeof openPolicyWork>[0]);
  assert.deepEqual(await work.ended('gone'), { state: 'failed', says: 'its session is not there any more' });
  await work.stop('gone');
});

test('the session of a try is found by its claim', async () => {
  await using scene = await openScene();
  const work = openPolicyWork({ catalog: scene.catalog } as Parameters<typeof openPolicyWork>[0]);
  const part = { run: 'r', set_id: 'a', set_name: 'a', state: 'waiting', attempt: 1, not_before_ms: 0, session: null, says: null };
  await scene.catalog.sessions.open({ id: 'x', kind: 'backup', object_kind: 'set', object_id: 'a', object_name: 'a', set_id: 'a', lane: null, sealed_wish: '', created_ms: startMs, reason: null, retry_of: null, claim: 'r/a/1' });
  assert.deepEqual([await work.begunFor(part), await work.begunFor({ ...part, attempt: 2 })], ['x', undefined]);
});

test('three hundred alarms at once begin within the limits, the oldest first, and before what is only due', async () => {
  await using scene = await openScene();
  const server = scene.server();
  const sets = Array.from({ length: 300 }, (_, at) => `s${at}`);
  scene.asked.push(...sets.map((set, at) => ({ set, policy: undefined, sinceMs: 1_000 - at, reason: 'oplog barrier' })));
  scene.clock.turn(24 * 60 * minuteMs);
  await server.round();
  assert.deepEqual(scene.begunFor, ['s299', 's298', 's297', 's296'], 'a repository takes four copies');
  assert.equal(scene.begun.size, 0, 'the parts of the policy wait');
  scene.asked.splice(296);
  await server.round();
  assert.equal(scene.begunFor.length, 4);
  scene.begunFor.splice(0, 2);
  await server.round();
  assert.deepEqual(scene.begunFor, ['s297', 's296', 's295', 's294']);
  scene.begunFor.length = scene.asked.length = 0;
  await server.round();
  assert.equal(scene.begun.size, 2);
});
