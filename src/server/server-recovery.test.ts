import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { scratch } from '../../test/kit/scratch.ts';
import { openServerPlatform } from '../../test/kit/server-platform.ts';
import { openConfiguration, sealConfiguration } from './configuration-copy.ts';
import { secretUnreadable } from './failures.ts';
import { dataDirectoryUsed } from './installation-failures.ts';
import { recoverInto } from './recovery.ts';

/** That of the fake's repository. */
const repositoryKey = Buffer.from('ab'.repeat(32), 'hex');

test('a lost server is there again on a new machine, of its repository and passphrase: hosts connect, sessions are listed, a backup is made', async () => {
  const data = await mkdtemp(join(scratch, 'tm-recovered-'));
  await using platform = await openServerPlatform({ configurationEveryMs: 50 });
  await platform.addHost('h1');
  await platform.addSet();
  const before = await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  const { configurations } = platform.fake;
  await platform.ask('role.add', { body: { name: 'night', permissions: ['sets.read'] } });
  // One that was on its way when the role was added may come first.
  const { name, bytes } = await until('a copy with the change', 10_000, () => configurations.find((copy) => JSON.stringify(openConfiguration(Buffer.from(copy.bytes, 'base64'), repositoryKey, copy.name).catalog.tables['roles']).includes('night')), { everyMs: 20 });
  const sealed = Buffer.from(bytes, 'base64');
  for (const secret of ['very-secret-password', 'BEGIN PRIVATE KEY', (await readFile(join(platform.data, 'master.key'))).toString('hex')]) assert.equal(sealed.includes(secret), false, 'the repository holds nothing in clear');
  assert.throws(() => openConfiguration(sealed, Buffer.alloc(32), name), (error) => isFailure(error, secretUnreadable));
  assert.throws(() => openConfiguration(sealed, repositoryKey, `${name.slice(0, -1)}x`), (error) => isFailure(error, secretUnreadable));

  const recovered = await recoverInto(data, openConfiguration(sealed, repositoryKey, name));
  assert.deepEqual([recovered.sets, recovered.hosts, recovered.repositories], [1, 2, 1]);
  await assert.rejects(recoverInto(data, openConfiguration(sealed, repositoryKey, name)), (error) => isFailure(error, dataDirectoryUsed));
  await platform.moveServer(data);
  await until('both hosts to be connected', 20_000, async () => ((await platform.ask('host.list', { query: {} })).hosts.every(({ link }) => link === 'connected') ? true : undefined), { everyMs: 30 });
  const { sessions } = await platform.ask('session.list', { query: { kind: 'backup' } });
  assert.ok(sessions.some(({ id, state }) => id === before.id && state === 'success'));
  assert.ok((await platform.ask('role.list', {})).roles.some((role) => role.name === 'night'));
  const after = await until('a backup to begin', 20_000, async () => await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} }).catch(() => undefined), { everyMs: 50 });
  assert.equal((await platform.ended(after.id)).state, 'success');
  assert.equal(existsSync(join(data, 'server/catalog.sqlite.new')), false);
  await rm(data, { recursive: true, force: true });
});

test('a configuration comes out of its seal as it went in', () => {
  const configuration = { form: 1 as const, version: '1', madeAtMs: 5, secrets: { masterKeyHex: 'cd'.repeat(32), authority: '{}' }, catalog: { migration: '0012-copies', tables: { settings: [{ name: 'a', value: 'ä' }] } } };
  assert.deepEqual(openConfiguration(sealConfiguration(configuration, repositoryKey, 'server/a/b'), repositoryKey, 'server/a/b'), configuration);
});

test('a copy that a clock which was ahead has named is not taken before those that are made after it', async () => {
  await using platform = await openServerPlatform({ configurationEveryMs: 50 });
  const { configurations } = platform.fake;
  const { name } = await until('a copy', 10_000, () => configurations[0], { everyMs: 20 });
  const [, installation] = name.split('/');
  const ahead = `server/${installation}/${Date.UTC(2037, 0, 1).toString(16).padStart(12, '0')}abcdef012345`;
  configurations.push({ name: ahead, bytes: '' });
  await platform.ask('role.add', { body: { name: 'night', permissions: ['sets.read'] } });
  const newest = await until('a later one', 10_000, () => configurations.find((copy) => copy.name > ahead), { everyMs: 20 });
  assert.match(JSON.stringify(openConfiguration(Buffer.from(newest.bytes, 'base64'), repositoryKey, newest.name).catalog.tables['roles']), /night/);
});
