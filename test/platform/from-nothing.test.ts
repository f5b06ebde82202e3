/**
 * From hosts that have nothing of ours to a moment brought back, on whole hosts: SSH, packages, enrolment, a backup that goes
 * straight from the database's host to the repository's, and the port plan that knows them all.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { findMongod } from '../kit/mongod.ts';
import { openPackages } from '../kit/packages.ts';
import { freePort, openPlatform } from '../kit/platform.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost } from '../kit/whole-host.ts';

const mongodPort = 27117;

/** A set of one member with a custom port, run by a user of its own. */
async function startSet(host: WholeHost): Promise<MongoClient> {
  await host.ok('useradd', ['--system', '--no-create-home', 'mongod']);
  await host.ok('install', ['-d', '-o', 'mongod', '-m', '700', '/srv/mongod']);
  await host.ok('systemd-run', ['--quiet', '--unit=mongod', '--uid=mongod', 'mongod', '--dbpath', '/srv/mongod', '--port', String(mongodPort), '--bind_ip_all', '--replSet', 'rs0', '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false']);
  const client = await until('mongod', 30_000, async () => await MongoClient.connect(`mongodb://${host.address}:${mongodPort}/?directConnection=true`, { serverSelectionTimeoutMS: 1_000 }).catch(() => undefined));
  await client.db('admin').command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: `${host.address}:${mongodPort}` }] } });
  await until('a primary', 20_000, async () => ((await client.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined));
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 3_000 }, (_, n) => ({ n, text: `order ${n}`.repeat(10) })), { writeConcern: { w: 'majority', journal: true } });
  return client;
}

test('two bare hosts are deployed over SSH, and a set is backed up from one to the other and brought back there', { skip: whyNoWholeHosts(), timeout: 280_000 }, async (context) => {
  const place = await mkdtemp(join(tmpdir(), 'tm-nothing-'));
  context.after(async () => await rm(place, { recursive: true, force: true }));
  await using packages = await openPackages();
  const built = [await packages.tar('tidemark-deployer', '1.0.0'), await packages.tar('tidemark-transport', '1.0.0')];
  await using wholeHosts = await openWholeHosts(2, { units: ['ssh.service'] });
  const [db, vault] = wholeHosts.hosts as [WholeHost, WholeHost];
  const mongod = (await findMongod()).path;
  for (const host of [db, vault]) {
    host.copyIn(mongod, '/usr/bin/mongod');
    await host.ok('useradd', ['-m', '-s', '/bin/bash', 'tmadmin']);
    await host.ok('chpasswd', [], { input: 'tmadmin:Pa55-word\n' });
    host.write('/etc/sudoers.d/tmadmin', 'tmadmin ALL=(ALL:ALL) ALL\n', 0o440);
  }
  const client = await startSet(db);
  context.after(async () => await client.close());

  await using platform = await openPlatform({ args: ['--hosts', wholeHosts.gateway, '--enrolment-port', String(await freePort()), '--agent-port', String(await freePort()), '--depot-port', String(await freePort()), '--installer-port', String(await freePort())] });
  await platform.ok('package', 'add', ...built.map(({ file }) => file), '--sign', '--depot-dir', join(platform.dataDir, 'depot'));
  const password = join(place, 'password');
  await writeFile(password, 'Pa55-word\n');
  await platform.ok('credential', 'add', 'admin', '--user', 'tmadmin', '--password-file', password, '--sudo');
  for (const [name, host] of [['db', db], ['vault', vault]] as const) {
    await platform.ok('node', 'add', name, host.address);
    const installed = await platform.ok('node', 'install', name, '--credential', 'admin');
    assert.equal(installed.host, name);
  }
  const passphrase = join(place, 'passphrase');
  await writeFile(passphrase, 'a passphrase for the vault\n');
  await platform.ok('repository', 'add', 'vault', '/var/lib/tidemark-transport/repository', '--node', 'vault', '--passphrase-file', passphrase);
  const added = await platform.ok('set', 'add', `mongodb://${db.address}:${mongodPort}/?replicaSet=rs0`, '--repository', 'vault');
  assert.equal(added.members[0].port, mongodPort, 'the custom port was learnt');

  const before = Number((await vault.ok('du', ['-sb', '/var/lib/tidemark-transport'])).split('\t')[0]);
  const made = await platform.ok('backup', 'run', 'rs0', '--source', `${db.address}:${mongodPort}`);
  assert.equal(made.verified, true);
  assert.ok(Number((await vault.ok('du', ['-sb', '/var/lib/tidemark-transport'])).split('\t')[0]) > before, 'it is on the vault');

  const { rows } = await platform.ok('ports', 'matrix');
  assert.ok((rows as { row: unknown }[]).length > 5, JSON.stringify(rows).slice(0, 300));
});
