import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { systemClock, type Clock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { failWith, untilStopped } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, target, type ServerPlatform } from '../../test/kit/server-platform.ts';

const set = async (platform: ServerPlatform) => await platform.ask('set.show', { params: { set: 'rs0' } });
const followers = (platform: ServerPlatform): number => platform.fake.begun.filter(({ kind }) => kind === 'oplog').length;
/** What the server waited for, and a fiftieth of it. */
const waits: number[] = [];
const hasty: Clock = {
  ...systemClock,
  wait: async (ms, signal) => {
    waits.push(ms);
    await systemClock.wait(ms / 50, signal);
  },
};
/** Names of what open sessions have noted. */
function keptNotes({ data }: ServerPlatform): string[] {
  const catalog = new DatabaseSync(join(data, 'server', 'catalog.sqlite'), { readOnly: true });
  const rows = catalog.prepare("select name from session_notes join sessions on sessions.id = session where state = 'working'").all();
  catalog.close();
  return rows.map(({ name }) => String(name));
}
const status = (key: string, value: unknown) => ({ kind: 'status' as const, atMs: systemClock.now(), key, value });

test('adding a set follows its oplog at once, and the standing says how far', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  const { oplog } = await set(platform);
  assert.deepEqual([oplog.chain, oplog.through, oplog.lagSeconds], ['c1', { t: 2000, i: 1, term: 1 }, 0]);
  assert.deepEqual([oplog.lossIfDisasterNowSeconds, oplog.restorableTo, oplog.needsBase], [null, null, true], 'without a restore point nothing of it can be restored');
  const session = await platform.ask('session.show', { params: { session: oplog.session! } });
  assert.deepEqual([session.kind, session.state], ['oplog', 'working']);
  assert.equal((await platform.refused('session.stop', { params: { session: session.id } })).code, 'server.session-continuous');
});

test('the standing says how fast the oplog grows and how long each member covers it, and a short one is warned of once', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  platform.fake.scripts.oplog = async (_input, voice) => {
    voice.emit(status('chain', { chain: 'c1', through: { t: 2000, i: 1, term: 1 }, entriesPerSecond: 120 }));
    for (const reachSeconds of [1_800, 1_790]) voice.emit(status('reach', { members: [{ member: 'db1:27017', heldSeconds: 600, reachSeconds }, { member: 'db2:27017', heldSeconds: null, reachSeconds: null }] }));
    await untilStopped(voice);
    return { through: null };
  };
  await platform.ask('set.add', { body: { target } });
  const { oplog } = await until('the reach', 10_000, async () => {
    const shown = await set(platform);
    return shown.oplog.members[0]?.reachSeconds === 1_790 ? shown : undefined;
  }, { everyMs: 20 });
  assert.deepEqual([oplog.entriesPerSecond, oplog.members[0]], [120, { member: 'db1:27017', heldSeconds: 600, reachSeconds: 1_790 }]);
  const warnings = (await platform.ask('session.log', { params: { session: oplog.session! }, query: {} })).events.filter(({ event }) => event.kind === 'line' && /covers 30 minutes/.test(event.text));
  assert.equal(warnings.length, 1);
});

test('a follower that fails is started again, and the standing says why meanwhile', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  const usual = platform.fake.scripts.oplog;
  platform.fake.scripts.oplog = async () => Promise.reject(failWith('mongo.not-reached', 'no member answers'));
  await platform.ask('set.add', { body: { target } });
  const waiting = await until('the standing', 10_000, async () => {
    const { oplog } = await set(platform);
    return oplog.state === 'waiting' ? oplog : undefined;
  }, { everyMs: 20 });
  assert.match(waiting.says ?? '', /no member answers/);
  platform.fake.scripts.oplog = usual;
  await until('the oplog to be followed again', 20_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 50 });
  assert.ok(followers(platform) >= 2);
});

test('a follower that archived something before it died is back after a second, however often; one that did not waits longer each time', async () => {
  await using platform = await openServerPlatform({ alarmEveryMs: 777, tellEveryMs: 777, leaseMs: 7_770 }, { clock: hasty });
  waits.length = 0;
  let rounds = 0;
  platform.fake.scripts.oplog = async (_input, voice) => {
    rounds++;
    const t = Math.min(rounds, 4);
    voice.emit(status('chain', { chain: 'c1', through: { t, i: 1, term: 1 } }));
    throw failWith('agent.mover-died');
  };
  await platform.ask('set.add', { body: { target } });
  await until('eight rounds', 10_000, () => (rounds === 8 ? true : undefined), { everyMs: 10 });
  assert.deepEqual(waits.filter((ms) => ms % 1_000 === 0 && ms < 60_000).slice(0, 7), [1_000, 1_000, 1_000, 1_000, 2_000, 4_000, 8_000]);
  const names = keptNotes(platform);
  assert.ok(names.length <= 3, `a keeper leaves nothing of the rounds that are over: ${names.join(', ')}`);
});

test('after a break the loss counts from what can be restored, and the set is not protected until a new base is there', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  const secondsNow = (): number => Math.floor(systemClock.now() / 1000);
  const [raise, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const [oplog, copy] = [platform.fake.scripts.oplog, platform.fake.scripts.backup];
  platform.fake.through = { t: secondsNow() - 600, i: 1, term: 1 };
  const lastBefore = platform.fake.through.t;
  platform.fake.scripts.oplog = async (input, voice) => {
    void raise.promise.then(() => {
      platform.fake.through = { t: secondsNow(), i: 1, term: 1 };
      platform.fake.spans.push({ chain: 'c2', after: { t: secondsNow() - 60, i: 1 }, through: platform.fake.through });
      voice.emit(status('broken', { atMs: systemClock.now(), reason: 'the oplog rolled over', chain: 'c1', next: 'c2', after: { t: lastBefore, i: 1, term: 1 } }));
    });
    return await oplog(input, voice);
  };
  await platform.addSet();
  const standing = async () => (await platform.ask('report.daily', { query: {} })).report.sets[0]!;
  assert.equal((await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).state, 'success');
  assert.deepEqual((await standing()).reasons, []);

  platform.fake.scripts.backup = async (input, voice) => {
    await go.promise;
    return await copy(input, voice);
  };
  raise.resolve();
  const { oplog: broken } = await until('the new chain', 10_000, async () => {
    const shown = await set(platform);
    return shown.oplog.chain === 'c2' && shown.alarms.length === 1 ? shown : undefined;
  }, { everyMs: 20 });
  assert.ok(broken.lossIfDisasterNowSeconds! >= 600, `the loss is ${broken.lossIfDisasterNowSeconds} s`);
  assert.deepEqual([broken.needsBase, broken.restorableTo], [true, { t: lastBefore, i: 1 }]);
  const atRisk = await standing();
  assert.equal(atRisk.lossIfDisasterNowSeconds! >= 600, true);
  assert.equal(atRisk.isProtected, false);
  assert.deepEqual(atRisk.reasons, [`nothing written after ${new Date(lastBefore * 1000).toISOString()} can be restored before a new restore point is there (oplog chain broken)`]);
  assert.equal(atRisk.window!.toMs, lastBefore * 1000);

  go.resolve();
  await until('the new base', 10_000, async () => ((await standing()).isProtected ? true : undefined), { everyMs: 20 });
  assert.ok((await set(platform)).oplog.lossIfDisasterNowSeconds! < 60);
});

test('what a chain of no use had archived counts for nothing', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  const [raise, oplog] = [Promise.withResolvers<void>(), platform.fake.scripts.oplog];
  platform.fake.scripts.oplog = async (input, voice) => {
    void raise.promise.then(() => {
      const { through } = platform.fake;
      platform.fake.spans.splice(0, platform.fake.spans.length, { chain: 'c2', after: through, through });
      voice.emit(status('broken', { atMs: 5, reason: 'nobody knows where a barrier of oplog chain c1 is', chain: 'c1', next: 'c2', after: { t: 900, i: 1 }, isUseless: true }));
    });
    return await oplog(input, voice);
  };
  await platform.addSet();
  assert.equal((await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).state, 'success');
  const { t } = platform.fake.through;
  platform.fake.through = { t: t + 50, i: 1, term: 1 };
  await until('more oplog', 10_000, async () => ((await set(platform)).oplog.restorableTo?.t === t + 50 ? true : undefined), { everyMs: 20 });
  platform.fake.scripts.backup = async () => await Promise.reject(failWith('mongo.not-reached', 'no member answers'));
  raise.resolve();
  const { oplog: shown } = await until('the new chain', 10_000, async () => {
    const now = await set(platform);
    return now.oplog.chain === 'c2' && now.alarms.length === 1 ? now : undefined;
  }, { everyMs: 20 });
  assert.deepEqual([shown.needsBase, shown.restorableTo], [true, { t, i: 1 }], 'a proof says no more than its own moment');
});

test('a barrier leaves the moments behind it out of reach until a new base is there', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  const secondsNow = Math.floor(systemClock.now() / 1000);
  const raise = Promise.withResolvers<void>();
  const copy = platform.fake.scripts.backup;
  platform.fake.through = { t: secondsNow - 10, i: 1, term: 1 };
  const barrier = { t: secondsNow - 5, i: 7 };
  const follow = (voice: Parameters<typeof platform.fake.scripts.oplog>[1], since: { t: number; i: number }, isBehindBarrier = false) => voice.emit(status('chain', { chain: 'c1', since, isBehindBarrier, through: platform.fake.through, committed: platform.fake.through }));
  platform.fake.scripts.oplog = async (_input, voice) => {
    follow(voice, { t: 1000, i: 1 });
    await raise.promise;
    voice.emit(status('barrier', { at: barrier, what: 'setFeatureCompatibilityVersion', chain: 'c1' }));
    platform.fake.through = { t: secondsNow, i: 1, term: 1 };
    follow(voice, barrier, true);
    await untilStopped(voice);
    return { through: null };
  };
  await platform.ask('set.add', { body: { target } });
  assert.equal((await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).state, 'success');
  const go = Promise.withResolvers<void>();
  platform.fake.scripts.backup = async (input, voice) => {
    await go.promise;
    return await copy(input, voice);
  };
  raise.resolve();
  const shown = await until('the barrier', 10_000, async () => {
    const { oplog } = await set(platform);
    return oplog.needsBase ? oplog : undefined;
  }, { everyMs: 20 });
  assert.deepEqual(shown.restorableTo, { t: barrier.t, i: 6 });
  platform.fake.through = { t: secondsNow + 5, i: 1, term: 1 };
  go.resolve();
});

test('an alarm stays open over a stopped backup and five that failed, until a good point answers it', async () => {
  await using platform = await openServerPlatform({ alarmRetry: { firstMs: 20, mostMs: 40 } }, { clock: hasty });
  const [oplog, copy] = [platform.fake.scripts.oplog, platform.fake.scripts.backup];
  platform.fake.scripts.oplog = async (input, voice) => {
    voice.emit(status('broken', { atMs: 5, reason: 'gap', chain: 'c1', next: 'c2', after: { t: 1500, i: 1, term: 1 } }));
    return await oplog(input, voice);
  };
  const begun = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  let tries = 0;
  platform.fake.scripts.backup = async (input, voice) => {
    const nth = ++tries;
    if (nth === 1) {
      begun.resolve();
      await untilStopped(voice);
      throw voice.signal.reason as Error;
    }
    if (nth <= 6) throw failWith('mongo.not-reached', 'no member answers');
    if (nth === 7) await hold.promise;
    return await copy(input, voice);
  };
  await platform.addSet();
  await begun.promise;
  const open = async (): Promise<number> => (await platform.ask('report.daily', { query: {} })).report.sets[0]!.alarmsOpen;
  const [first] = (await platform.ask('session.list', { query: { kind: 'backup' } })).sessions;
  await platform.ask('session.stop', { params: { session: first!.id } });
  await until('the seventh try', 20_000, () => (tries === 7 ? true : undefined), { everyMs: 10 });
  assert.equal(await open(), 1);
  hold.resolve();
  await until('the answer', 10_000, async () => ((await open()) === 0 ? true : undefined), { everyMs: 20 });
  assert.equal((await set(platform)).alarms[0]!.backupSession, (await platform.ask('session.list', { query: { kind: 'backup' } })).sessions.map(({ id }) => id).sort().at(-1));
});

test('an alarm during a backup is answered by another one after it', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  const raise = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const [oplog, copy] = [platform.fake.scripts.oplog, platform.fake.scripts.backup];
  platform.fake.scripts.oplog = async (input, voice) => {
    void raise.promise.then(() => voice.emit(status('broken', { atMs: 5, reason: 'gap', chain: 'c1', next: 'c2', after: { t: 1500, i: 1, term: 1 } })));
    return await oplog(input, voice);
  };
  platform.fake.scripts.backup = async (input, voice) => {
    await go.promise;
    return await copy(input, voice);
  };
  await platform.addSet();
  const first = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  raise.resolve();
  await until('the alarm', 10_000, async () => ((await set(platform)).alarms.length === 1 ? true : undefined), { everyMs: 20 });
  go.resolve();
  const second = await until('the answer', 10_000, async () => (await set(platform)).alarms[0]?.backupSession ?? undefined, { everyMs: 20 });
  assert.notEqual(second, first.id);
  assert.equal((await platform.ended(second)).state, 'success');
});

test('removing a set is planned first, then stops its follower and keeps its points', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  const backup = await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  assert.equal(backup.state, 'success');
  const plan = await platform.ask('set.remove', { params: { set: 'rs0' }, query: {} });
  assert.deepEqual([plan.applied, plan.points, plan.sessions.length], [false, 1, 1]);
  const done = await platform.ask('set.remove', { params: { set: 'rs0' }, query: { apply: 'true' } });
  assert.equal(done.applied, true);
  assert.equal((await platform.ended(plan.sessions[0]!)).state, 'stopped');
  assert.ok([...platform.fake.tasks.values()].every(({ kind, state }) => kind !== 'oplog' || state.state !== 'running'));
  const gone = await platform.refused('set.window', { params: { set: 'rs0' }, query: {} });
  assert.equal(gone.code, 'server.set-unknown');
  assert.match(gone.message, /its restore points are in repository default/);
  assert.match(gone.hint, /tidemark repository open \/.*repository/);
  const { points } = await platform.ask('point.list', { query: {} });
  assert.equal(points.length, 1);
  const verify = await platform.ask('point.verify', { params: { point: points[0]!.id }, body: {} });
  assert.equal((await platform.ended(verify.id)).state, 'success');
  await platform.addSet();
  assert.equal((await platform.ask('point.list', { query: { set: 'rs0' } })).points.length, 1);
});

test('a set cannot be removed while something else works on it', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  platform.fake.scripts.backup = async (_input, voice) => {
    await untilStopped(voice);
    throw voice.signal.reason as Error;
  };
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  const refused = await platform.refused('set.remove', { params: { set: 'rs0' }, query: { apply: 'true' } });
  assert.deepEqual([refused.code, refused.details.session], ['server.set-busy', id]);
});

test('a set is protected once, under one name', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  assert.equal((await platform.refused('set.add', { body: { target, name: 'other' } })).code, 'server.set-exists');
  platform.fake.discovered = { ...platform.fake.discovered, setId: 'f'.repeat(24) };
  assert.equal((await platform.refused('set.add', { body: { target } })).code, 'server.set-name-taken');
  assert.equal((await platform.refused('set.add', { body: { target, name: 'b', repository: 'nowhere' } })).code, 'server.repository-unknown');
  const added = await platform.ask('set.add', { body: { target, name: 'second' } });
  assert.equal(added.name, 'second');
});

test('a paused oplog archives nothing and says who paused it; a gap that it leaves is told with the pause', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  const paused = await platform.ask('oplog.pause', { params: { set: 'rs0' }, body: { reason: 'a switch is replaced' } });
  assert.equal(paused.oplogEveryMinutes, null);
  const { oplog } = await until('the pause', 10_000, async () => {
    const shown = await set(platform);
    return shown.oplog.state === 'paused' ? shown : undefined;
  }, { everyMs: 20 });
  assert.match(oplog.says ?? '', /^admin has paused it since .*: a switch is replaced$/);
  const before = followers(platform);
  // Before it is resumed: the next second may have begun when it is followed again.
  const duringIt = { t: Math.floor(systemClock.now() / 1000), i: 1 };
  platform.fake.scripts.oplog = async (_input, voice) => {
    voice.emit(status('broken', { atMs: systemClock.now(), reason: 'the oplog rolled over before it could be archived', chain: 'c1', next: 'c2', after: duringIt }));
    await untilStopped(voice);
    return { through: null };
  };
  assert.equal(followers(platform), before, 'nothing follows it');
  await platform.ask('oplog.resume', { params: { set: 'rs0' } });
  const alarm = await until('the alarm', 10_000, async () => (await set(platform)).alarms[0], { everyMs: 20 });
  assert.match(alarm.says, /rolled over .*; it was paused by admin from .* \(a switch is replaced\); what happened after/);
  assert.equal((await platform.refused('oplog.resume', { params: { set: 'rs0' } })).code, 'server.oplog-not-paused');
});

test('a resume that was cut short behind its first write is seen by the keeper itself', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  await platform.ask('oplog.pause', { params: { set: 'rs0' }, body: { reason: 'a switch is replaced' } });
  await until('the pause', 10_000, async () => ((await set(platform)).oplog.state === 'paused' ? true : undefined), { everyMs: 20 });
  const before = followers(platform);
  const database = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  database.exec("update sets set oplog_mode = '{}'");
  database.close();
  await until('it to be followed', 10_000, () => (followers(platform) > before ? true : undefined), { everyMs: 20 });
});

test('an oplog that is taken every so many minutes rests between its rounds, and goes round at once while a backup waits for it', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.scripts.oplog = async ({ untilCaughtUp }, voice) => {
    voice.emit(status('chain', { chain: 'c1', through: platform.fake.through, committed: platform.fake.through }));
    if (untilCaughtUp !== true) await untilStopped(voice);
    return { through: platform.fake.through };
  };
  assert.equal((await platform.ask('oplog.every', { params: { set: 'rs0' }, body: { everyMinutes: 15 } })).oplogEveryMinutes, 15);
  const resting = async () => await until('it to rest', 20_000, async () => ((await set(platform)).oplog.state === 'resting' ? followers(platform) : undefined), { everyMs: 20 });
  const before = await resting();
  let end = (): void => {};
  const usual = platform.fake.scripts.backup;
  platform.fake.scripts.backup = async (input, voice) => {
    await new Promise<void>((resolve) => (end = resolve));
    return await usual(input, voice);
  };
  await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  await until('another round', 20_000, () => (followers(platform) > before ? true : undefined), { everyMs: 20 });
  end();
  await platform.ask('oplog.every', { params: { set: 'rs0' }, body: { everyMinutes: null } });
  await until('it to be followed', 20_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 20 });
});
