import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import type { FakeTransport } from '../../test/kit/fake-transport.ts';
import { openServerPlatform } from '../../test/kit/server-platform.ts';

const always = { from: '00:00', to: '00:00' };
const begun = (host: FakeTransport, kind: string) => host.begun.filter((task) => task.kind === kind).map(({ input }) => input as Record<string, any>);
const told = (limits: { of: string; mbitPerSecond: number }[]) => limits.map(({ of, mbitPerSecond }) => `${of.split(' ')[0]} ${mbitPerSecond}`);

test('each end of a data session is told of its own host, the repository, and the policy whose copy it is', async () => {
  await using platform = await openServerPlatform();
  const db1 = await platform.addHost('db1');
  await platform.addSet();
  assert.deepEqual(begun(db1, 'oplog')[0]!['archive'].location.limits, []);
  for (const [host, mbitPerSecond] of [['local', 1], ['db1', 2]] as const) await platform.ask('host.limit', { params: { host }, body: { limits: [{ mbitPerSecond, ...always }] } });
  await platform.ask('repository.limit', { params: { repository: 'default' }, body: { limits: [{ mbitPerSecond: 3, ...always }] } });
  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, bandwidth: [{ mbitPerSecond: 4, ...always }] } });
  await platform.ask('policy.run', { params: { policy: 'nightly' }, body: {} });
  await until('the run to end', 20_000, async () => ((await platform.ask('policy.show', { params: { policy: 'nightly' } })).lastRun?.state === 'success' ? true : undefined), { everyMs: 20 });
  const [copy, proof] = [begun(db1, 'backup')[0]!['archive'].location, begun(db1, 'prove')[0]!['archive'].location];
  const served = (ticket: string) => begun(platform.fake, 'serve-archive').find((input) => input['ticket'] === ticket)!['limits'];
  assert.deepEqual([told(copy.limits), told(served(copy.ticket))], [['host 2', 'repository 3', 'policy 4'], ['host 1', 'repository 3', 'policy 4']]);
  assert.deepEqual([told(proof.limits), told(served(proof.ticket))], [['host 2', 'repository 3'], ['host 1', 'repository 3']]);
});

test('a follower of an oplog is begun anew with a limit that was changed', async () => {
  await using platform = await openServerPlatform();
  const db1 = await platform.addHost('db1');
  const follow = db1.scripts.oplog;
  const looks: (() => void)[] = [];
  db1.scripts.oplog = async (input, voice) => {
    looks.push(() => voice.emit({ kind: 'status', atMs: 0, key: 'reach', value: { members: [] } }));
    return await follow(input, voice);
  };
  await platform.addSet();
  await platform.ask('host.limit', { params: { host: 'db1' }, body: { limits: [{ mbitPerSecond: 2, ...always }] } });
  looks[0]!();
  const again = await until('another task', 20_000, () => begun(db1, 'oplog')[1], { everyMs: 20 });
  assert.deepEqual(told(again['archive'].location.limits), ['host 2']);
});

test('the connections of a repository are those of each data session of it', async () => {
  await using platform = await openServerPlatform();
  await platform.addHost('db1');
  const shown = await platform.ask('repository.limit', { params: { repository: 'default' }, body: { connections: 8 } });
  assert.equal(shown.connections, 8);
  await platform.addSet();
  const [served] = begun(platform.fake, 'serve-archive');
  assert.deepEqual([served!['channels'], served!['connections']], [8, 8]);
});

test('a repository on the host of the task is no traffic', async () => {
  await using platform = await openServerPlatform();
  await platform.ask('host.limit', { params: { host: 'local' }, body: { limits: [{ mbitPerSecond: 1, ...always }] } });
  await platform.addSet();
  assert.equal(begun(platform.fake, 'oplog')[0]!['archive'].limits, undefined);
});
