/** What becomes of the notices that a follower of an oplog tells: once per cause, and also of what nobody heard when it happened. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, type Clock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const set = async (platform: ServerPlatform) => await platform.ask('set.show', { params: { set: 'rs0' } });
const followers = (platform: ServerPlatform): number => platform.fake.begun.filter(({ kind }) => kind === 'oplog').length;
const hasty: Clock = { ...systemClock, wait: async (ms, signal) => await systemClock.wait(ms / 50, signal) };
const status = (key: string, value: unknown) => ({ kind: 'status' as const, atMs: systemClock.now(), key, value });

for (const [key, value, what] of [
  ['broken', { atMs: 5, reason: 'the oplog rolled over', chain: 'c1', next: 'c2', after: { t: 1500, i: 1, term: 1 } }, /rolled over; what happened after 1500,1/],
  ['hole', { chain: 'c1', after: { t: 1500, i: 1 }, through: { t: 1600, i: 1 } }, /entries from 1500,1 to 1600,1 are missing/],
  ['barrier', { at: { t: 1500, i: 2, term: 1 }, what: 'setFeatureCompatibilityVersion', chain: 'c1' }, /setFeatureCompatibilityVersion at 1500,2/],
] as const) {
  test(`a ${key} notice is an alarm, told once, and one new base backup is started for it`, async () => {
    await using platform = await openServerPlatform({}, { clock: hasty });
    const usual = platform.fake.scripts.oplog;
    platform.fake.scripts.oplog = async (input, voice) => {
      voice.emit(status(key, value));
      voice.emit(status(key, value));
      return await usual(input, voice);
    };
    await platform.addSet();
    const backup = await until('the backup', 10_000, async () => (await set(platform)).alarms[0]?.backupSession ?? undefined, { everyMs: 20 });
    assert.equal((await platform.ended(backup)).state, 'success');
    const { alarms } = await set(platform);
    assert.equal(alarms.length, 1);
    assert.match(alarms[0]!.says, what);
    await platform.restartServer();
    await platform.fake.restart();
    await until('the oplog to be followed', 20_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 50 });
    assert.equal((await set(platform)).alarms.length, 1);
    assert.equal((await platform.ask('session.list', { query: { kind: 'backup' } })).sessions.length, 1);
  });
}

for (const [key, value] of [
  ['broken', { atMs: 5, reason: 'the oplog rolled over', chain: 'c0', next: 'c1', after: { t: 900, i: 1 }, since: { t: 1500, i: 1 } }],
  ['barrier', { at: { t: 1500, i: 1 }, what: 'setFeatureCompatibilityVersion', chain: 'c1', since: { t: 1500, i: 1 } }],
] as const) {
  test(`a ${key} notice that is told again is an alarm where nobody has heard it, and history where a good point was made behind it`, async () => {
    await using platform = await openServerPlatform({}, { clock: hasty });
    const usual = platform.fake.scripts.oplog;
    await platform.addSet();
    assert.equal((await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).state, 'success');
    const { checkpoint } = (await platform.ask('point.list', { query: {} })).points[0]!;
    const again = async (since: { t: number; i: number }): Promise<void> => {
      const before = followers(platform);
      platform.fake.scripts.oplog = async (input, voice) => {
        voice.emit(status(key, { ...value, ...(key === 'barrier' && { at: since }), since }));
        return await usual(input, voice);
      };
      await platform.fake.restart();
      await until('the oplog to be followed', 20_000, async () => (followers(platform) > before && (await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 20 });
    };
    await again(checkpoint);
    assert.deepEqual((await set(platform)).alarms, []);
    await again({ t: checkpoint.t + 1, i: 1 });
    assert.equal((await set(platform)).alarms.length, 1);
    await again({ t: checkpoint.t + 1, i: 1 });
    assert.equal((await set(platform)).alarms.length, 1);
  });
}

test('a follower that no member answers is told as waiting after half a minute, with the reason, and as following when one does', async () => {
  let aheadMs = 0;
  const clock: Clock = { ...hasty, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  await using platform = await openServerPlatform({}, { clock });
  let tell = (_state: 'following' | 'waiting'): void => {};
  const usual = platform.fake.scripts.oplog;
  platform.fake.scripts.oplog = async (input, voice) => {
    tell = (state) => voice.emit(status('chain', { chain: 'c1', through: platform.fake.through, state, why: state === 'waiting' ? 'cannot reach db1:27017' : null, entriesPerSecond: state === 'waiting' ? 0 : 7 }));
    return await usual(input, voice);
  };
  await platform.addSet();
  const heard = async (rate: number | null): Promise<string> => await until('the word', 10_000, async () => ((await set(platform)).oplog.entriesPerSecond === rate ? (await set(platform)).oplog.state : undefined), { everyMs: 10 });
  tell('following');
  assert.equal(await heard(7), 'following');
  tell('waiting');
  assert.equal(await heard(0), 'following', 'an election may be no more than that');
  aheadMs += 31_000;
  tell('waiting');
  assert.equal(await heard(null), 'waiting');
  assert.equal((await set(platform)).oplog.says, 'cannot reach db1:27017');
  tell('following');
  assert.equal(await heard(7), 'following');
});
