import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { wireLookOf } from '../../test/kit/fake-set.ts';
import { openServerPlatform } from '../../test/kit/server-platform.ts';
import { systemClock } from '../base/clock.ts';

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

test('a computer that is taken out of scope is a source no more, neither for copies nor for the oplog that is followed already; so is a primary that a policy forbids', async () => {
  await using platform = await openServerPlatform();
  const { fake } = platform;
  const { members, local } = fake.discovered;
  const named = members.map((member, k) => ({ ...member, host: `db${k + 1}`, port: 27017 }));
  fake.discovered = { ...fake.discovered, members: named, local: local.map((one, k) => ({ ...one, member: `db${k + 1}:27017` })) };
  fake.lookAtSet = () => wireLookOf(fake.discovered);
  const oplog = fake.scripts.oplog;
  const followed: unknown[] = [];
  let look = (): void => {};
  fake.scripts.oplog = async (input, voice) => {
    followed.push(input.rules);
    look = () => voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'reach', value: { members: [] } });
    return await oplog(input, voice);
  };
  const next = async (count: number): Promise<unknown> => await until(`follower ${count}`, 10_000, () => followed[count - 1], { everyMs: 20 });
  const free = { primaryAllowed: true, hiddenFirst: false, lagLimitSeconds: 30, preferred: null, leftOut: [] };
  await platform.ask('group.add', { body: { name: 'shop', deployments: [{ host: 'db1' }] } });
  await platform.addSet();
  assert.deepEqual(await next(1), free);

  await platform.ask('group.edit', { params: { group: 'shop' }, body: { computers: [{ computer: 'db2', isInScope: false }] } });
  look();
  assert.deepEqual(await next(2), { ...free, leftOut: ['db2'] });
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  assert.equal((await platform.ended(id)).state, 'success');
  assert.match(JSON.stringify(await platform.events(id)), /source: db3:27017/);
  const asked = await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: { source: 'db2:27017' } })).id);
  assert.match(asked.failure?.message ?? '', /db2:27017, which was asked for, is on a computer that is out of the scope of its group/);

  await platform.ask('policy.add', { body: { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, source: { hiddenFirst: true, lagLimitSeconds: 60 } } });
  look();
  assert.deepEqual(await next(3), { primaryAllowed: false, hiddenFirst: true, lagLimitSeconds: 60, preferred: null, leftOut: ['db2'] });
});
