/**
 * A Windows host: its deployer is installed from a package and enrolled with a kit, brings the transport from a distribution server, and
 * the repository there is full of what a Linux host with a real mongod sends it. Wine stands in for Windows; programs, services and
 * packages are the product's own (docs/reference/windows.md).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { whyNoMsi } from '../../scripts/package/msi.ts';
import type { WindowsPackage } from '../../scripts/package/windows-layout.ts';
import { until } from '../../src/base/deadline.ts';
import { openSigningKey, type SigningKey } from '../../src/depot/signing-key.ts';
import { freePort, openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';
import { openWindowsPackages, type WindowsPackages } from '../kit/windows-packages.ts';
import { openWineLab, whyNoWine, type WineLab } from '../kit/wine-lab.ts';

const skip = whyNoWine() ?? whyNoMsi();
const home = 'C:\\ProgramData\\Tidemark';
/** One that the server's machine does not count among its own. */
const address = '127.0.0.2';
const place = mkdtempSync(join(tmpdir(), 'tm-windows-'));
let lab: WineLab;
let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let packages: WindowsPackages;
let key: SigningKey;
let depotDir: string;
const ports = { transport: 0, deployer: 0 };

const textAt = (windows: string): string => (existsSync(lab.path(windows)) ? readFileSync(lab.path(windows), 'utf8') : `no ${windows}`);
const logged = (service: string): string => textAt(`${home}\\${service}.log`).slice(-4000);
const withLogs = (error: Error): never => {
  throw new Error(`${error.message}: deployer ${logged('deployer')}, transport ${logged('transport')}`, { cause: error });
};

async function connected(): Promise<void> {
  await until('the Windows host to be connected', 60_000, async () => {
    const { hosts } = (await platform.ok('node', 'list')) as { hosts: { name: string; link: string }[] };
    return hosts.find(({ name }) => name === 'win')?.link === 'connected' ? true : undefined;
  }, { everyMs: 300 }).catch(withLogs);
}

/** What msiexec ends with; 0 is done. */
async function msiexec(...words: string[]): Promise<number> {
  return (await lab.run('msiexec', [...words, '/qn'], { deadlineMs: 120_000 })).code;
}

/** By hand, as an operator who carries it there. */
async function carry(name: WindowsPackage, version: string): Promise<string> {
  copyFileSync(await packages.msi(name, version, key), join(lab.directory, `${name}.msi`));
  return `Z:\\w\\lab\\${name}.msi`;
}

/** Into the distribution server, which takes what its key has signed. */
async function offer(name: WindowsPackage, version: string): Promise<void> {
  const { packages: [added] } = await platform.ok('package', 'add', await packages.msi(name, version, key), '--depot-dir', depotDir);
  assert.equal(added.platform, 'windows-x64');
}

before(async () => {
  if (skip !== undefined) return;
  [lab, set] = await Promise.all([openWineLab(), openReplicaSet({ members: 1 })]);
  packages = openWindowsPackages(place);
  client = await set.client();
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 5_000 }, (_, n) => ({ n, text: `order ${n}`, noise: randomBytes(400) })));
  const free = async (): Promise<string> => String(await freePort());
  platform = await openPlatform({ args: ['--hosts', '127.0.0.1', '--enrolment-port', await free(), '--agent-port', await free(), '--depot-port', await free(), '--installer-port', await free()] });
  depotDir = join(platform.dataDir, 'depot');
  key = await openSigningKey(join(depotDir, 'signing.key'));
  Object.assign(ports, { transport: await freePort(), deployer: await freePort() });
});
after(async () => {
  await lab?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
  await client?.close();
  await set?.stop();
  rmSync(place, { recursive: true, force: true });
});

test('a folder that another user has made is not believed: the service does not start, nothing there is read, and it says why', { skip, timeout: 120_000 }, async () => {
  const file = await carry('tidemark-deployer', '1.0.0');
  mkdirSync(lab.path(`${home}\\deployer`), { recursive: true });
  writeFileSync(lab.path(`${home}\\deployer.json`), 'settings of somebody else');
  chownSync(lab.path(home), 1000, 1000);
  await msiexec('/i', file);
  await lab.awaitService('tidemark-deployer', 'STOPPED').catch(async () => await lab.awaitService('tidemark-deployer', undefined, 1_000));
  assert.match(textAt('C:\\Program Files\\Tidemark\\deployer\\refused.log'), /Tidemark is not believed, and nothing in it was read: it belongs to S-1-/);
  assert.deepEqual(readdirSync(lab.path(home)).sort(), ['deployer', 'deployer.json'], 'nothing was written there');
  await msiexec('/x', file);
  await lab.awaitService('tidemark-deployer', undefined);
  rmSync(lab.path(home), { recursive: true });
});

test('an operator runs the installer of the deployer, and a kit in a file makes it a deployer of the server; what others could do in its folder they cannot any more', { skip, timeout: 120_000 }, async () => {
  mkdirSync(lab.path(`${home}\\deployer`), { recursive: true, mode: 0o777 });
  writeFileSync(lab.path(`${home}\\deployer.json`), JSON.stringify({ listen: { address, port: ports.deployer } }));
  writeFileSync(lab.path(`${home}\\transport.json`), JSON.stringify({ listen: { address } }));
  const kit = join(place, 'kit.json');
  const added = await platform.ok('node', 'add', 'win', address, '--control-port', String(ports.transport), '--deployer-port', String(ports.deployer), '--data-ports', '32600-32640');
  assert.equal(added.host.platform, null, 'nobody has said what it runs');
  await platform.ok('node', 'kit', 'win', '--kit', kit, '--part', 'deployer');
  copyFileSync(kit, lab.path(`${home}\\deployer\\kit.json`));
  const file = await carry('tidemark-deployer', '1.0.0');
  assert.equal(await msiexec('/i', file, '/l*v', 'Z:\\w\\lab\\install.log'), 0, logged('deployer'));
  await lab.awaitService('tidemark-deployer', 'RUNNING').catch(withLogs);
  await until('the kit to be redeemed', 60_000, () => (existsSync(lab.path(`${home}\\deployer\\kit.json`)) ? undefined : true)).catch(withLogs);
  for (const path of [home, `${home}\\deployer`, `${home}\\deployer\\identity.json`]) assert.equal(statSync(lab.path(path)).mode & 0o007, 0, path);
  const { token } = JSON.parse(readFileSync(kit, 'utf8')) as { token: string };
  const said = readFileSync(join(lab.directory, 'install.log'));
  assert.ok(!said.includes(token) && !said.includes(Buffer.from(token, 'utf16le')), 'the token is in no log of the installer');
});

test('the installers are signed, and a changed byte in one is seen', { skip }, () => {
  const verify = (file: string): string => execFileSync('osslsigncode', ['verify', '-CAfile', packages.authority, '-in', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const msi = join(lab.directory, 'tidemark-deployer.msi');
  assert.match(verify(msi), /Succeeded/);
  const bytes = readFileSync(msi);
  bytes[bytes.length >> 1]! ^= 1;
  const changed = join(place, 'changed.msi');
  writeFileSync(changed, bytes);
  assert.throws(() => verify(changed), (error: { stdout?: string }) => /MISMATCH|[Ff]ailed/.test(error.stdout ?? ''));
});

test('the deployer gets the transport from the distribution server and has Windows Installer install it', { skip, timeout: 180_000 }, async () => {
  await offer('tidemark-transport', '1.0.0');
  const made = (await platform.ok('node', 'install', 'win').catch(withLogs)) as { state: string; result: unknown };
  assert.equal(made.state, 'success', JSON.stringify(made));
  assert.deepEqual(made.result, { kind: 'deploy', host: 'win', platform: 'windows-x64', hostKey: null, version: '1.0.0' });
  await connected();
  assert.equal((await platform.ok('node', 'show', 'win')).platform, 'windows', 'it has said so itself');
});

test('a set of a Linux host is backed up into a repository on the Windows host, proved from there, and comes back the same', { skip, timeout: 180_000 }, async () => {
  const passphrase = join(place, 'passphrase');
  writeFileSync(passphrase, 'a passphrase for the vault\n', { mode: 0o600 });
  await platform.ok('repository', 'add', 'vault', 'C:\\Backup\\tidemark', '--node', 'win', '--passphrase-file', passphrase);
  await platform.ok('set', 'add', set.uri, '--repository', 'vault');
  const made = await platform.ok('backup', 'run', set.name);
  assert.deepEqual([made.state, made.verified], ['success', true]);
  assert.equal(readdirSync(lab.path('C:\\Backup\\tidemark\\sets')).length, 1, 'it is on the drive of the Windows host');
  await client.db('shop').collection('orders').insertOne({ n: -1 }, { writeConcern: { w: 'majority' } });
  const again = await platform.ok('backup', 'run', set.name);
  assert.ok(again.bytes.stored < made.bytes.stored / 2, `${again.bytes.stored} of ${made.bytes.stored}`);
  await platform.ok('restore', 'collections', set.name, '--at', 'latest', '--ns', 'shop.orders=shop.back', '--apply');
  const { collections } = await client.db('shop').command({ dbHash: 1, collections: ['orders', 'back'] });
  assert.equal(await client.db('shop').collection('back').countDocuments(), 5_001);
  assert.equal(collections.back, collections.orders);
  lab.share('nas', 'backup', 'C:\\shared');
  await platform.ok('repository', 'add', 'share', '\\\\nas\\backup\\tidemark', '--node', 'win', '--passphrase-file', passphrase);
  const tried = await platform.ok('repository', 'test', 'share', '--size', '8');
  assert.equal(tried.state, 'success');
  assert.ok(existsSync(lab.path('C:\\shared\\tidemark\\tidemark.json')), 'the service has opened the share by its path');
  const refused = await platform.tidemark('repository', 'add', 'device', 'C:\\Backup\\aux', '--node', 'win', '--passphrase-file', passphrase);
  assert.equal(refused.json.failure.code, 'repository.path-refused');
  const checked = await platform.ok('repository', 'check', 'vault', '--read-data', '100');
  assert.equal(checked.state, 'success');
});

test('the ports between a Linux host and the Windows host are in the plan, each side tries its own, and the text for netsh is one that cmd reads', { skip, timeout: 120_000 }, async () => {
  const { json } = await platform.tidemark('ports', 'check', '--host', 'win', '--all');
  const rows = json.rows as { row: number; from: { name: string }; ports: { from: number }[]; outcome: string; optional: boolean }[];
  const here = hostname();
  const named = new Map([[ports.deployer, 'deployer'], [ports.transport, 'transport'], [445, '445'], [135, '135'], [11_731, '11731'], [49_152, '49152'], [32_600, '32600']]);
  assert.deepEqual(rows.map(({ row, from, ports: [range], outcome, optional }) => `${row} ${from.name} ${named.get(range!.from) ?? '–'} ${outcome}${optional ? ' optional' : ''}`), [
    // Wine has neither 445 nor 135.
    `2 ${here} deployer good`,
    `3 ${here} transport good`,
    `5 ${here} 445 refused optional`,
    `5 ${here} 11731 good optional`,
    `5 ${here} 135 refused optional`,
    `6 ${here} 49152 not-tried optional`,
    '9 win – good',
    `14 ${here} 32600 good`,
  ]);
  const { texts } = (await platform.ok('ports', 'export', '--format', 'netsh', '--host', 'win')) as { texts: { text: string }[] };
  for (const wanted of ['protocol=TCP localport=32600-32640 ', 'localport=445 ', 'localport=11731 ', 'localport=49152-65535 ']) assert.ok(texts[0]!.text.includes(wanted), wanted);
  writeFileSync(join(lab.directory, 'rules.cmd'), texts[0]!.text);
  await lab.ok('cmd', ['/c', 'Z:\\w\\lab\\rules.cmd']);
});

test('newer packages replace both services, the deployer by an installer that outlives it; taking the transport away leaves no service, nothing of the programs but what Wine finds in use, and every backup', { skip, timeout: 240_000 }, async () => {
  for (const name of ['tidemark-deployer', 'tidemark-transport'] as const) await offer(name, '1.1.0');
  const updated = (await platform.ok('node', 'update', 'win').catch(withLogs)) as { state: string; result: { services: unknown } };
  assert.equal(updated.state, 'success', JSON.stringify(updated));
  assert.deepEqual(updated.result.services, ['tidemark-deployer', 'tidemark-transport'].map((name) => ({ name, before: '1.0.0', version: '1.1.0' })));
  await connected();
  copyFileSync(join(place, 'tidemark-transport-1.1.0-windows-x64.msi'), join(lab.directory, 'tidemark-transport.msi'));
  assert.equal(await msiexec('/x', 'Z:\\w\\lab\\tidemark-transport.msi'), 0);
  await lab.awaitService('tidemark-transport', undefined);
  // Wine removes files some milliseconds after STOPPED, and does not come back to what the process that is ending has mapped.
  const programs = lab.path('C:\\Program Files\\Tidemark\\transport');
  const left = existsSync(programs) ? readdirSync(programs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
  assert.deepEqual(left.map(({ name }) => name).filter((name) => name !== 'node.exe' && !name.endsWith('.node')), []);
  assert.equal(readdirSync(lab.path('C:\\Backup\\tidemark\\sets')).length, 1);
});
