import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openServerPlatform } from '../../test/kit/server-platform.ts';

test('how many copies are made at once is set for a host, a repository and the whole, is shown, and outlives the server', async () => {
  await using platform = await openServerPlatform();
  const shown = async () => {
    const { hosts } = await platform.ask('host.list', { query: {} });
    const { repositories } = await platform.ask('repository.list', {});
    return [hosts.find(({ name }) => name === 'local')?.copiesAtOnce, repositories[0]?.copiesAtOnce, (await platform.ask('server.info', {})).copiesAtOnce];
  };
  assert.deepEqual(await shown(), [1, 4, 100]);
  const repository = (await platform.ask('repository.list', {})).repositories[0]!.name;
  await platform.ask('host.limit', { params: { host: 'local' }, body: { copiesAtOnce: 2 } });
  await platform.ask('repository.limit', { params: { repository }, body: { copiesAtOnce: 8 } });
  await platform.ask('repository.limit', { params: { repository }, body: {} });
  await platform.ask('server.limit', { body: { copiesAtOnce: 12 } });
  await platform.restartServer();
  assert.deepEqual(await shown(), [2, 8, 12]);
  await platform.ask('host.limit', { params: { host: 'local' }, body: { limits: [{ mbitPerSecond: 50, from: '08:00', to: '18:00' }] } });
  const local = (await platform.ask('host.list', { query: {} })).hosts.find(({ name }) => name === 'local');
  assert.deepEqual([local?.copiesAtOnce, local?.limits], [2, [{ mbitPerSecond: 50, from: '08:00', to: '18:00' }]]);
  await assert.rejects(platform.ask('host.limit', { params: { host: 'nowhere' }, body: { copiesAtOnce: 2 } }), /server.host-unknown/);
  await assert.rejects(platform.ask('server.limit', { body: { copiesAtOnce: 0 } }), /server.question-not-understood/);
});
