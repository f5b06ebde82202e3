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
import { freePort } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';
import { openPackages } from '../kit/packages.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
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

  await platform.ok('set', 'remove', 'rs0', '--apply');
  const failed = await immutableVault(platform, vault, passphrase, `${db.address}:${mongodPort}`);
  assert.deepEqual(failed, []);
});

async function refusal(platform: Platform, ...words: string[]): Promise<string> {
  const { code, stderr, stdout } = await platform.tidemark(...words);
  assert.notEqual(code, 0, words.join(' '));
  return stderr + stdout;
}

const place = '/srv/vault';
const warden = '/opt/tidemark/transport/current/bin/tidemark-warden';

/** The vault becomes a host of hardened repositories: nobody deletes or changes what is locked in it, until the warden's time is over. */
async function immutableVault(platform: Platform, vault: WholeHost, passphrase: string, source: string): Promise<string[]> {
  await vault.ok('install', ['-d', '-o', 'tidemark', '-g', 'tidemark', '-m', '700', place]);
  const refused = await refusal(platform, 'repository', 'add', 'hard', place, '--node', 'vault', '--immutable-days', '30', '--passphrase-file', passphrase);
  assert.match(refused, /tidemark-warden adopt/);
  await vault.ok(warden, ['adopt', place], { deadlineMs: 60_000 });
  for (const [unit, state] of [['tidemark-deployer.service', 'inactive'], ['tidemark-transport.service', 'active']]) assert.equal((await vault.run('systemctl', ['is-active', unit!])).stdout.trim(), state, unit);
  await until('the transport to be back', 60_000, async () => ((await platform.tidemark('repository', 'add', 'hard', place, '--node', 'vault', '--immutable-days', '30', '--passphrase-file', passphrase)).code === 0 ? true : undefined));
  await platform.ok('set', 'add', `mongodb://${source}/?replicaSet=rs0`, '--repository', 'hard');
  const { point, verified } = await platform.ok('backup', 'run', 'rs0', '--source', source);
  assert.equal(verified, true);
  const { findings } = await platform.ok('repository', 'test', 'hard', '--size', '1');
  for (const what of ['what is retained stays', 'locks when the clock is turned']) assert.equal((findings as { what: string; level: string }[]).find((one) => one.what === what)?.level, 'good', JSON.stringify(findings));

  // With everything that the backup server has.
  assert.match(await refusal(platform, 'point', 'delete', String(point), '--apply'), /repository\.object-retained/);
  // As the user that the transport runs as, and as root who does not lift the flag: each locked file, and each folder on the way.
  const listed = async (): Promise<string[]> => (await vault.ok('find', [place, '-type', 'f', '(', '-path', '*/points/*', '-o', '-path', '*/packs/*', '-o', '-path', '*/slices/*', '-o', '-path', '*/chains/*', '-o', '-name', 'tidemark*.json', ')'])).trim().split('\n');
  const files = await listed();
  for (const kind of ['/points/', '/packs/', '/chains/', 'tidemark.json']) assert.ok(files.some((file) => file.includes(kind)), `${kind} in ${files.join(' ')}`);
  const attack = 'for f; do rm -f "$f" && echo "deleted $f"; echo x >> "$f" && echo "changed $f"; mv "$f" "$f.away" && echo "moved $f"; done; true';
  const struck = async (user: string): Promise<string> => (await vault.run('runuser', ['-u', user, '--', 'sh', '-c', attack, 'sh', ...files])).stdout;
  assert.equal((await struck('tidemark')) + (await struck('root')), '');
  const moved = await vault.run('runuser', ['-u', 'tidemark', '--', 'sh', '-c', `mv ${place}/sets ${place}/aside; mv ${place} ${place}-aside; ls ${place}/.warden; true`]);
  assert.equal(moved.stdout, '');
  // What asks the warden can only lock: a second warden's clock is 40 days further, and lifts.
  await vault.ok('systemctl', ['stop', 'tidemark-warden.socket', 'tidemark-warden.service']);
  await vault.ok('systemd-run', ['--quiet', '--unit=warden-later', 'unshare', '--time', '--boottime', String(40 * 86_400), '/opt/tidemark/transport/current/bin/node', '/opt/tidemark/transport/current/lib/main/warden.js']);
  await until('the later warden', 20_000, async () => ((await vault.run('chgrp', ['tidemark', '/run/tidemark-warden/warden.sock'])).code === 0 ? true : undefined));
  await vault.ok('chmod', ['660', '/run/tidemark-warden/warden.sock']);
  await platform.ok('point', 'delete', String(point), '--apply');
  return (await listed()).filter((file) => file.includes(String(point)) && file.includes('/points/'));
}
