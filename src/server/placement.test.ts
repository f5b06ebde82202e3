import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { openServerPlatform } from '../../test/kit/server-platform.ts';

test('a member that the server\'s machine and a host both see is that host\'s: its oplog is followed there, not by way of the server', async () => {
  await using platform = await openServerPlatform();
  const host = await platform.addHost('db1');
  await platform.addSet();
  await until('the oplog on its host', 10_000, () => (host.begun.some(({ kind }) => kind === 'oplog') ? true : undefined));
  assert.deepEqual(platform.fake.begun.map(({ kind }) => kind), ['serve-archive']);
  const { local } = await platform.ask('set.show', { params: { set: 'rs0' } });
  assert.equal(local.length, 3);
  assert.equal(new Set(local.map(({ host: on }) => on)).size, 1);
});

test('a host that the set does not let in is not waited for once every member was found by its own', async () => {
  const waits = new AbortController();
  await using platform = await openServerPlatform();
  const away = await platform.addHost('gate');
  await platform.addHost('db1');
  away.onDiscover = async () => await new Promise<never>((_, reject) => waits.signal.addEventListener('abort', () => reject(new Error('the test is over'))));
  await platform.addSet();
  waits.abort();
  assert.equal((await platform.ask('set.show', { params: { set: 'rs0' } })).local.length, 3);
});

test('a member with an IPv6 address is the source of a backup as any other', async () => {
  await using platform = await openServerPlatform();
  const { members, local } = platform.fake.discovered;
  platform.fake.discovered = { ...platform.fake.discovered, members: members.map((member, k) => ({ ...member, host: `fd77::${k + 1}` })), local: local.map((one, k) => ({ ...one, member: `[fd77::${k + 1}]:${members[k]!.port}` })) };
  await platform.addSet();
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  assert.equal((await platform.ended(id)).state, 'success');
});
