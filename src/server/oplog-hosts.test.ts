/** Who follows the oplog of a set while servers, transports and hosts go and come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, type Clock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const set = async (platform: ServerPlatform) => await platform.ask('set.show', { params: { set: 'rs0' } });
const followers = (platform: ServerPlatform): number => platform.fake.begun.filter(({ kind }) => kind === 'oplog').length;
const hasty: Clock = { ...systemClock, wait: async (ms, signal) => await systemClock.wait(ms / 50, signal) };

test('a server that restarts goes on with the same follower; a transport that restarts gets one new one', async () => {
  await using platform = await openServerPlatform({}, { clock: hasty });
  await platform.addSet();
  await platform.restartServer();
  await until('the oplog to be followed', 10_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 20 });
  assert.equal(followers(platform), 1);
  await platform.fake.restart();
  await until('a second follower', 20_000, () => (followers(platform) === 2 ? true : undefined), { everyMs: 20 });
  await until('the oplog to be followed', 10_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 20 });
  assert.equal(followers(platform), 2);
});

test('while the host is away no second follower is begun, however long it takes', async () => {
  await using platform = await openServerPlatform({ hostLostMs: 100 }, { clock: hasty });
  await platform.addSet();
  await platform.fake.cut();
  await until('the standing', 10_000, async () => ((await set(platform)).oplog.state === 'waiting' ? true : undefined), { everyMs: 20 });
  await platform.fake.mend();
  await until('the oplog to be followed', 20_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 50 });
  assert.equal(followers(platform), 1);
});

test('a host that does not come back is left for another one of the set, and its follower is ended when it does', async () => {
  await using platform = await openServerPlatform({ hostLostMs: 100 }, { clock: hasty });
  const [db1, db2] = [await platform.addHost('db1'), await platform.addHost('db2')];
  platform.fake.discovered = { ...platform.fake.discovered, local: [] };
  for (const [k, host] of [db1, db2].entries()) host.discovered = { ...host.discovered, local: host.discovered.local.slice(k, k + 1) };
  await platform.addSet();
  const isAt = ({ begun }: typeof db1): boolean => begun.some(({ kind }) => kind === 'oplog');
  const [first, second] = isAt(db1) ? [db1, db2] : [db2, db1];
  assert.deepEqual([isAt(first), isAt(second)], [true, false]);
  await first.cut();
  await until('the other one to follow', 20_000, () => (isAt(second) ? true : undefined), { everyMs: 20 });
  await until('the oplog to be followed', 20_000, async () => ((await set(platform)).oplog.state === 'following' ? true : undefined), { everyMs: 20 });
  await first.mend();
  await until('what was left behind to be ended', 20_000, () => ([...first.tasks.values()].some(({ kind, state }) => kind === 'oplog' && state.state === 'running') ? undefined : true), { everyMs: 50 });
  assert.equal(second.begun.filter(({ kind }) => kind === 'oplog').length, 1);
});
