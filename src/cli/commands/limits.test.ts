import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';
import type { Host } from '../../contract/routes/hosts.ts';
import type { Repository } from '../../contract/routes/repositories.ts';

const repository: Repository = { id: 'r1', name: 'main', host: 'vault', location: { kind: 'directory', path: '/r' }, isDefault: true, isAttached: false, immutable: null, limits: [], copiesAtOnce: 4, connections: 4, gateways: { through: [], hosts: null }, reread: null, sweeps: null, addedAtMs: 0, passphraseFile: null, archives: [] };

test('limits of a repository are taken apart, and one that is none is refused before the server is asked', async () => {
  let now = repository;
  await using server = await openRestServer({
    'repository.show': () => now,
    'repository.limit': ({ body }) => (now = { ...now, ...(body.limits !== undefined && { limits: body.limits }), ...(body.copiesAtOnce !== undefined && { copiesAtOnce: body.copiesAtOnce }), ...(body.connections !== undefined && { connections: body.connections }) }),
  });
  await using cli = await openCommandLine(server);
  const says = async (...words: string[]) => (await cli.run('repository', 'limit', 'main', ...words)).stdout.trim();
  assert.equal(await says('400', '50@22:00-06:30'), 'repository main: bandwidth 400 Mbit/s, 50 Mbit/s from 22:00 to 06:30; copies of 4 sets at once, each over 4 connections');
  assert.equal(await says('--copies', '1', '--connections', '8'), 'repository main: bandwidth 400 Mbit/s, 50 Mbit/s from 22:00 to 06:30; copies of 1 set at once, each over 8 connections');
  assert.equal(await says('none'), 'repository main: bandwidth not limited; copies of 1 set at once, each over 8 connections');
  assert.equal(await says(), 'repository main: bandwidth not limited; copies of 1 set at once, each over 8 connections');
  for (const wrong of ['0', '-1', '50@8:00-18:00', '50@08:00', 'fast']) {
    const { code, stderr } = await cli.run('repository', 'limit', 'main', '--', wrong);
    assert.equal(code, 2, wrong);
    assert.ok(stderr.includes(`"${wrong}"`), stderr);
  }
  for (const wrong of ['1', '33', '2.5']) assert.equal((await cli.run('repository', 'limit', 'main', '--connections', wrong)).code, 2, wrong);
  for (const wrong of ['0', '1.5', 'many']) assert.equal((await cli.run('repository', 'limit', 'main', '--copies', wrong)).code, 2, wrong);
});

test('limits of a host are set, and shown without options', async () => {
  let now: Host = { id: 'h1', name: 'db1', address: 'db1', controlPort: 6162, deployerPort: 6160, dataFrom: 2500, dataTo: 3300, singlePort: false, dials: 'server', platform: 'linux', state: 'enrolled', link: 'connected', says: null, version: null, outOfDate: false, deployer: null, limits: [], copiesAtOnce: 1, addedAtMs: 0, enrolledAtMs: 0 };
  await using server = await openRestServer({
    'host.list': () => ({ hosts: [now], found: [], alarms: [] }),
    'host.limit': ({ body }) => (now = { ...now, ...(body.limits !== undefined && { limits: body.limits }), ...(body.copiesAtOnce !== undefined && { copiesAtOnce: body.copiesAtOnce }) }),
  });
  await using cli = await openCommandLine(server);
  const says = async (...words: string[]) => (await cli.run('node', 'limit', 'db1', ...words)).stdout.trim();
  assert.equal(await says('50@08:00-18:00', '--copies', '2'), 'db1: bandwidth 50 Mbit/s from 08:00 to 18:00; copies of 2 sets at once');
  assert.equal(await says(), 'db1: bandwidth 50 Mbit/s from 08:00 to 18:00; copies of 2 sets at once');
  assert.equal(await says('none'), 'db1: bandwidth not limited; copies of 2 sets at once');
});

test('limits of the whole are set, and shown without options', async () => {
  let copiesAtOnce = 100;
  await using server = await openRestServer({
    'server.info': () => ({ version: '1', contract: 1, startedAtMs: 0, nowMs: 0, url: '', caFingerprint: '', copiesAtOnce, hosts: [] }),
    'server.limit': ({ body }) => ({ copiesAtOnce: (copiesAtOnce = body.copiesAtOnce) }),
  });
  await using cli = await openCommandLine(server);
  assert.equal((await cli.run('server', 'limit', '--copies', '40')).stdout.trim(), 'the server: copies of 40 sets at once');
  assert.equal((await cli.run('server', 'limit')).stdout.trim(), 'the server: copies of 40 sets at once');
});
