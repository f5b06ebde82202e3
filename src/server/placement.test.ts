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
