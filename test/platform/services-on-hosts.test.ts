/**
 * The life of a host's services under the server, on whole hosts: installed from a distribution server on a host of its own,
 * over SSH and by an installer, updated under a running session, moved to other ports, refused what they must refuse, and taken
 * off again. In the middle of an update, a change of ports and an uninstallation the server is killed and started again.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { renewIdentity } from '../../src/agent/join.ts';
import { until } from '../../src/base/deadline.ts';
import type { Caller } from '../../src/contract/link/caller.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { readIdentity } from '../../src/contract/link/identity-file.ts';
import { admitPart, type LinkIdentity } from '../../src/contract/link/trust.ts';
import { freePort } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';
import { openPackages, type Packages } from '../kit/packages.ts';
import { openPlatform, type CliResult, type Platform } from '../kit/platform.ts';
import { openTestAuthority } from '../kit/test-authority.ts';
import { isSilent, scanFrom } from '../kit/port-scan.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost, type WholeHosts } from '../kit/whole-host.ts';

const skip = whyNoWholeHosts();
const limits = { skip, timeout: 180_000 };
const mongodPort = 27117;
let place: string;
let packages: Packages;
let wholeHosts: WholeHosts;
let platform: Platform;
let db: WholeHost;
let vault: WholeHost;
let store: WholeHost;
let depot: ChildProcess | undefined;
let depotDirectory: string;
let client: MongoClient | undefined;
let enrolmentPort: number;

before(async () => {
  if (skip !== undefined) return;
  place = await mkdtemp(join(tmpdir(), 'tm-services-'));
  packages = await openPackages();
  wholeHosts = await openWholeHosts(3, { units: ['ssh.service'] });
  [db, vault, store] = wholeHosts.hosts as [WholeHost, WholeHost, WholeHost];
  db.copyIn((await findMongod()).path, '/usr/bin/mongod');
  await db.ok('useradd', ['-m', '-s', '/bin/bash', 'tmadmin']);
  await db.ok('chpasswd', [], { input: 'tmadmin:Pa55-word\n' });
  db.write('/etc/sudoers.d/tmadmin', 'tmadmin ALL=(ALL:ALL) ALL\n', 0o440);
  // Whoever wants to come here by SSH comes to nothing.
  await vault.ok('systemctl', ['stop', 'ssh.service']);
  enrolmentPort = await freePort();
  platform = await openPlatform({ keptIn: [process.execPath], args: ['--hosts', wholeHosts.gateway, '--enrolment-port', String(enrolmentPort), '--agent-port', String(await freePort()), '--depot', `${store.address}:9380`] });
  const password = join(place, 'password');
  await writeFile(password, 'Pa55-word\n');
  await platform.ok('credential', 'add', 'admin', '--user', 'tmadmin', '--password-file', password, '--sudo');
  await startDepot();
  await addPackages('1.0.0');
}, { timeout: 120_000 });

after(async () => {
  await client?.close();
  depot?.kill('SIGKILL');
  await platform?.[Symbol.asyncDispose]();
  await wholeHosts?.[Symbol.asyncDispose]();
  await packages?.[Symbol.asyncDispose]();
  if (place !== undefined) await rm(place, { recursive: true, force: true });
});

/** In the network of a host of its own, with the files of this machine; it enrols with its kit. */
async function startDepot(): Promise<void> {
  depotDirectory = join(place, 'depot');
  mkdirSync(depotDirectory);
  await platform.ok('node', 'add', 'store', store.address);
  await platform.ok('node', 'kit', 'store', '--part', 'depot', '--kit', join(depotDirectory, 'kit.json'));
  const program = new URL('../../src/main/depot.ts', import.meta.url).pathname;
  const listens = ['--listen', `${store.address}:9380`, '--installer', `${store.address}:11731`];
  depot = spawn('nsenter', ['-t', String(store.pid()), '--net', process.execPath, program, '--data', depotDirectory, '--identity', join(depotDirectory, 'identity.json'), ...listens], { stdio: ['ignore', 'ignore', 'ignore'] });
  await until('the distribution server to answer', 30_000, async () => ((await platform.tidemark('package', 'list')).code === 0 ? true : undefined), { everyMs: 300 });
}

/** As a power cut on the server's machine would: all it runs there is gone, and comes up again. */
async function restartServer(): Promise<void> {
  await platform.kill9();
  await platform.start();
}

const endOf = async (id: string) => await until(`session ${id}`, 90_000, async () => {
  const session = await platform.ok('session', 'show', id);
  return session.endedAtMs === null ? undefined : session;
}, { everyMs: 500 });

/** Packages of this checkout under another version, vouched for in the distribution server. */
async function addPackages(version: string): Promise<void> {
  const made = [await packages.tar('tidemark-deployer', version), await packages.tar('tidemark-transport', version)];
  await vouched(...made.map(({ file }) => file));
}

/** With nothing in it but its name: enough to be refused. */
function smallPackage(version: string): string {
  const folder = join(place, `tidemark-transport-${version}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'tidemark-transport', version }));
  execFileSync('tar', ['-czf', `${folder}-linux-${process.arch}.tar.gz`, '-C', place, `tidemark-transport-${version}`]);
  return `${folder}-linux-${process.arch}.tar.gz`;
}

const vouched = async (...files: string[]): Promise<unknown> => await platform.ok('package', 'add', ...files, '--sign', '--depot-dir', depotDirectory);

type Node = { name: string; link: string; version: string; outOfDate: boolean; controlPort: number; deployerPort: number; deployer: { link: string; version: string } | null };

async function nodeOf(name: string): Promise<Node> {
  const { hosts } = (await platform.ok('node', 'list')) as { hosts: Node[] };
  return hosts.find((host) => host.name === name)!;
}

const failureOf = ({ json, stderr, code }: CliResult): { code: string; message: string } => {
  assert.notEqual(code, 0, stderr);
  return json?.failure ?? { code: /\[([\w.-]+)\]/.exec(stderr)?.[1] ?? '', message: stderr };
};

/** Orders as the server would give them, by somebody who has its identity: what a host refuses even then. */
async function deployerOf(host: WholeHost): Promise<Caller> {
  const identity = (await readIdentity(join(platform.dataDir, 'server/identity.json')))!;
  return await dialOrders({ host: host.address, port: 6160, identity, admit: admitPart('deployer'), version: 'test' });
}

async function startSet(): Promise<void> {
  await db.ok('useradd', ['--system', '--no-create-home', 'mongod']);
  await db.ok('install', ['-d', '-o', 'mongod', '-m', '700', '/srv/mongod']);
  await db.ok('systemd-run', ['--quiet', '--unit=mongod', '--uid=mongod', 'mongod', '--dbpath', '/srv/mongod', '--port', String(mongodPort), '--bind_ip_all', '--replSet', 'rs0', '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false']);
  client = await until('mongod', 30_000, async () => await MongoClient.connect(`mongodb://${db.address}:${mongodPort}/?directConnection=true`, { serverSelectionTimeoutMS: 1_000 }).catch(() => undefined));
  await client.db('admin').command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: `${db.address}:${mongodPort}` }] } });
  await until('a primary', 20_000, async () => ((await client!.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined));
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 2_000 }, (_, n) => ({ n, text: `order ${n}`.repeat(10) })), { writeConcern: { w: 'majority', journal: true } });
}

test('over SSH a bare host gets the deployer of the distribution server, and the transport by it', limits, async () => {
  await platform.ok('node', 'add', 'db', db.address);
  const installed = await platform.ok('node', 'install', 'db', '--credential', 'admin');
  assert.equal(installed.version, '1.0.0');
  assert.match(installed.hostKey, /^SHA256:/);
  const { link, version, outOfDate, deployer } = await nodeOf('db');
  assert.deepEqual([link, version, outOfDate, deployer], ['connected', '1.0.0', false, { link: 'connected', says: null, version: '1.0.0' }]);
  for (const part of ['deployer', 'transport']) assert.equal((await db.run('test', ['-e', `/var/lib/tidemark-${part}/kit.json`])).code, 1, `the kit of the ${part} is gone`);
  const again = await platform.ok('node', 'install', 'db');
  assert.equal(again.hostKey, null, 'what is there needs no SSH');
});

test('an installer brings the services to a host without SSH, once, and believes only what it holds', limits, async () => {
  await platform.ok('node', 'add', 'vault', vault.address);
  const file = join(place, 'install-on-vault.sh');
  await platform.ok('node', 'kit', 'vault', '--installer', file);
  const program = readFileSync(file, 'utf8');
  await using other = await openTestAuthority();
  const { caPem } = await other.issue('depot', 'x');
  const run = async (text: string) => {
    vault.write('/root/install.sh', text, 0o700);
    return await vault.run('sh', ['/root/install.sh'], { deadlineMs: 60_000 });
  };
  const misled = await run(program.replace(/-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----\n/, caPem));
  assert.notEqual(misled.code, 0);
  assert.match(misled.stderr, /certificate|did not take the token/);
  const installed = await run(program);
  assert.equal(installed.code, 0, installed.stderr);
  // The next kit takes the place of one that is not redeemed yet.
  await until('the deployer to have enrolled', 60_000, async () => ((await nodeOf('vault')).deployer?.link === 'connected' ? true : undefined), { everyMs: 200 });
  const second = await run(program);
  assert.notEqual(second.code, 0);
  assert.match(second.stderr, /did not take the token/);

  const changed = join(place, 'changed.sh');
  await platform.ok('node', 'kit', 'vault', '--installer', changed);
  const refused = await run(readFileSync(changed, 'utf8').replace(/^echo "[0-9a-f]{64} {2}/m, `echo "${'0'.repeat(64)}  `));
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /not the one this installer is for/);

  const brought = await platform.ok('node', 'install', 'vault');
  assert.deepEqual([brought.version, brought.hostKey], ['1.0.0', null]);
});

test('a scan of all ports of a managed host finds sshd and its two services, which say nothing before mutual TLS', limits, async () => {
  const found = await scanFrom(vault, db);
  assert.deepEqual(found.map(({ port }) => port), [22, 6160, 6162]);
  for (const { port, toGarbage, toHttp, insideTls } of found.filter(({ port: number }) => number !== 22)) assert.deepEqual([isSilent(toGarbage), isSilent(toHttp), insideTls], [true, true, ''], `${port}: ${toGarbage} ${toHttp} ${insideTls}`);
});

test('a deployer renews its certificate by itself as a deployer, and orders from others than the server mean nothing to it', limits, async () => {
  const identity = JSON.parse(db.read('/var/lib/tidemark-deployer/identity.json')) as LinkIdentity;
  const renewed = await renewIdentity({ address: wholeHosts.gateway, enrolmentPort }, identity, join(place, 'renewed.json'));
  assert.match(new X509Certificate(renewed.certificatePem).subject, /OU=deployer/);
  await assert.rejects(dialOrders({ host: vault.address, port: 6160, identity: renewed, admit: admitPart('deployer'), version: 'test' }), { code: 'contract.link-refused' });
});

test('an unsigned, a tampered and an older package are refused by the distribution server and by the host', limits, async () => {
  const foreign = smallPackage('0.9.0');
  assert.equal(failureOf(await platform.tidemark('package', 'add', foreign, '--depot-dir', depotDirectory)).code, 'depot.package-refused');
  await vouched(foreign);
  const stem = join(depotDirectory, 'packages/tidemark-transport-0.9.0-linux-x64').replace('x64', process.arch);
  const older = { manifest: readFileSync(`${stem}.json`, 'utf8'), signature: readFileSync(`${stem}.json.sig`, 'utf8').trim() };
  const deployer = await deployerOf(db);
  try {
    await assert.rejects(deployer.call('deployer.offer', { package: older }), { code: 'agent.older-version' });
    await assert.rejects(deployer.call('deployer.offer', { package: packages.key.sign(JSON.parse(older.manifest)) }), { code: 'contract.package-not-signed' });
    await assert.rejects(deployer.call('deployer.update', { package: { ...older, manifest: older.manifest.replace('0.9.0', '9.0.0') } }), { code: 'contract.package-not-signed' });
  } finally {
    deployer.close();
  }
  writeFileSync(`${stem}.tar.gz`, 'x', { flag: 'a' });
  const { packages: offered, refused } = await platform.ok('package', 'list');
  assert.deepEqual((offered as { version: string }[]).map(({ version }) => version), ['1.0.0', '1.0.0']);
  assert.match(refused[0].why, /not those of its manifest/);
  for (const end of ['.tar.gz', '.json', '.json.sig']) rmSync(`${stem}${end}`);
});

test('changed ports work on both sides although the server is killed in between, and ports that do not are taken back', limits, async () => {
  const listening = async (): Promise<string> => await vault.ok('ss', ['-ltn']);
  const moving = await platform.ok('node', 'configure', 'vault', '--control-port', '7162', '--data-ports', '4000-4050', '--deployer-port', '7160', '--detach');
  await until('the transport to have its new port', 30_000, async () => ((await listening()).includes(':7162 ') ? true : undefined), { everyMs: 20 });
  await restartServer();
  const moved = await endOf(moving.session);
  assert.equal(moved.state, 'success', JSON.stringify(moved.failure));
  const { link, controlPort, deployerPort, deployer } = await nodeOf('vault');
  assert.deepEqual([link, controlPort, deployerPort, deployer?.link], ['connected', 7162, 7160, 'connected']);
  const ports = await listening();
  assert.match(ports, /:7160 [^]*:7162 |:7162 [^]*:7160 /);
  assert.doesNotMatch(ports, /:6160 |:6162 /);

  await vault.ok('systemd-run', ['--quiet', '--unit=squatter', 'python3', '-m', 'http.server', '7200']);
  await until('the port to be taken', 10_000, async () => ((await listening()).includes(':7200') ? true : undefined));
  const busy = failureOf(await platform.tidemark('node', 'configure', 'vault', '--control-port', '7200'));
  assert.match(busy.message, /port 7200 is in use by pid \d+ \(python3\)/);
  const itself = failureOf(await platform.tidemark('node', 'configure', 'vault', '--deployer-port', '7200'));
  assert.equal(itself.code, 'server.service-not-back');
  assert.match(itself.message, /port 7200 is in use by pid \d+ \(python3\).*it has port 7160 again/);
  await vault.ok('nft', ['add table inet closed; add chain inet closed input { type filter hook input priority 0; }; add rule inet closed input tcp dport 7300 drop']);
  const closed = failureOf(await platform.tidemark('node', 'configure', 'vault', '--control-port', '7300'));
  assert.match(closed.message, /did not come back with port 7300.*it has port 7162 again/);
  const after = await nodeOf('vault');
  assert.deepEqual([after.link, after.controlPort, after.deployerPort, after.deployer?.link], ['connected', 7162, 7160, 'connected']);
});

test('an update waits for the session that runs, also when the server is killed meanwhile; both services change, and the session goes on to its end', limits, async () => {
  await startSet();
  const passphrase = join(place, 'passphrase');
  await writeFile(passphrase, 'a passphrase for the vault\n');
  await platform.ok('repository', 'add', 'vault', '/var/lib/tidemark-transport/repository', '--node', 'vault', '--passphrase-file', passphrase);
  await platform.ok('set', 'add', `mongodb://${db.address}:${mongodPort}/?replicaSet=rs0`, '--repository', 'vault');
  await addPackages('1.1.0');
  await until('the newer packages to be noticed', 45_000, async () => ((await nodeOf('db')).outOfDate ? true : undefined), { everyMs: 1_000 });

  // Of the movers that come from now on the first is that of the backup.
  await until('the oplog to be followed', 60_000, async () => ((await platform.ok('set', 'show', 'rs0')).oplog.state === 'following' ? true : undefined), { everyMs: 300 });
  const movers = async (): Promise<string[]> => (await db.run('pgrep', ['-f', 'lib/main/mover.js'])).stdout.split('\n').filter((line) => line !== '');
  const before = await movers();
  const backup = await platform.ok('backup', 'run', 'rs0', '--detach');
  // The copy is held where it is, so that the update has something to wait for.
  const held = await until('the mover of the backup', 60_000, async () => {
    const [mover] = (await movers()).filter((pid) => !before.includes(pid));
    return mover !== undefined && (await db.run('kill', ['-STOP', mover])).code === 0 ? mover : undefined;
  }, { everyMs: 20 });
  const update = await platform.ok('node', 'update', 'db', '--detach');
  const untilItWaits = async (times: number): Promise<unknown> => await until('the update to wait', 60_000, async () => {
    const { log } = (await platform.ok('session', 'show', update.session)) as { log: { event: { text?: string; step?: string } }[] };
    return log.filter(({ event }) => event.text === 'wait for running sessions').length >= times ? true : undefined;
  }, { everyMs: 300 });
  await untilItWaits(1);
  await restartServer();
  await untilItWaits(2);
  assert.equal((await nodeOf('db')).version, '1.0.0', 'nothing has changed while the session runs');
  assert.match(await vault.ok('ss', ['-tn']), /:40[0-5]\d /, 'data goes through the range that was changed');
  await db.ok('kill', ['-CONT', held]);

  const updated = await endOf(update.session);
  assert.equal(updated.state, 'success', JSON.stringify(updated.failure));
  assert.deepEqual(updated.result.services, [{ name: 'tidemark-deployer', before: '1.0.0', version: '1.1.0' }, { name: 'tidemark-transport', before: '1.0.0', version: '1.1.0' }]);
  const backed = await endOf(backup.session);
  assert.equal(backed.state, 'success', JSON.stringify(backed.failure));
  assert.equal(backed.result.verified, true);
  const { version, deployer } = await nodeOf('db');
  assert.deepEqual([version, deployer?.version], ['1.1.0', '1.1.0']);

  const { sessions, refused } = await platform.ok('node', 'update', '--all');
  assert.deepEqual([(sessions as { host: string; state: string }[]).map(({ host, state }) => [host, state]), refused], [[['vault', 'success']], []], 'the other one that is out of date');
  assert.equal((await nodeOf('vault')).version, '1.1.0');
});

test('a version that does not become healthy is taken back, and the session says why and what runs', limits, async () => {
  await vouched((await packages.tar('tidemark-transport', '1.2.0', { broken: true })).file);
  const { code, message } = failureOf(await platform.tidemark('node', 'update', 'db'));
  assert.equal(code, 'agent.service-not-healthy');
  assert.match(message, /made not to start.*1\.1\.0 runs again/s);
  await until('the transport to be connected again', 30_000, async () => ((await nodeOf('db')).link === 'connected' ? true : undefined), { everyMs: 500 });
  assert.equal((await nodeOf('db')).version, '1.1.0');
  for (const end of ['.tar.gz', '.json', '.json.sig']) rmSync(join(depotDirectory, `packages/tidemark-transport-1.2.0-linux-${process.arch}${end}`));
});

test('a removed host is refused at once with both its services, comes back with a new kit, and is uninstalled without a trace although the server is killed in between', limits, async () => {
  const used = await platform.tidemark('node', 'uninstall', 'vault', '--all', '--apply');
  assert.equal(used.code, 5, used.stderr);
  await platform.ok('set', 'remove', 'rs0', '--apply');
  const identity = JSON.parse(db.read('/var/lib/tidemark-deployer/identity.json')) as LinkIdentity;
  await platform.ok('node', 'remove', 'db', '--apply');
  await assert.rejects(renewIdentity({ address: wholeHosts.gateway, enrolmentPort }, identity, join(place, 'never.json')), { code: 'server.enrolment-refused', message: /not on the list/ });
  assert.ok(!existsSync(join(place, 'never.json')));

  await platform.ok('node', 'add', 'db', db.address);
  await platform.ok('node', 'install', 'db', '--credential', 'admin');
  const planned = await platform.ok('node', 'uninstall', 'db', '--all');
  assert.equal(planned.applied, false);
  assert.equal((await nodeOf('db')).link, 'connected', 'a plan changes nothing');
  const uninstalling = await platform.ok('node', 'uninstall', 'db', '--all', '--apply', '--detach');
  await until('the transport to be gone', 60_000, async () => ((await db.run('test', ['-e', '/opt/tidemark/transport/current'])).code === 1 ? true : undefined), { everyMs: 20 });
  await restartServer();
  const uninstalled = await endOf(uninstalling.session);
  // What nobody saw is a warning.
  assert.ok(['success', 'warning'].includes(uninstalled.state), JSON.stringify(uninstalled.failure));
  assert.equal(await nodeOf('db'), undefined, 'the host is forgotten');
  const look = `ls -d /opt/tidemark /etc/tidemark /var/lib/tidemark-* /run/tidemark-* /etc/systemd/system/tidemark-* /usr/bin/tidemark 2>/dev/null
getent passwd tidemark; pgrep -af ^/opt/tidemark; true`;
  await until('everything to be gone', 30_000, async () => ((await db.ok('sh', ['-c', look])) === '' ? true : undefined), { everyMs: 500 }).catch(async () => assert.equal(await db.ok('sh', ['-c', look]), ''));
});
