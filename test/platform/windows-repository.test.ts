/**
 * A repository on a Windows host: installed from its package, enrolled with a kit, and full of what a Linux host with a real mongod
 * sends it. Wine stands in for Windows; programs, service and package are the product's own (docs/reference/windows.md).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { makeMsi, openCodeSigning, whyNoMsi } from '../../scripts/package/msi.ts';
import { layOutForWindows } from '../../scripts/package/windows-layout.ts';
import { until } from '../../src/base/deadline.ts';
import { systemQuestion, windowsShellIn } from '../../src/ssh/windows-shell.ts';
import { freePort, openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';
import { openWineLab, whyNoWine, type WineLab } from '../kit/wine-lab.ts';

const skip = whyNoWine() ?? whyNoMsi();
const service = 'tidemark-transport';
const data = 'C:\\ProgramData\\Tidemark';
const place = mkdtempSync(join(tmpdir(), 'tm-windows-'));
let lab: WineLab;
let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let port: number;
let signing: ReturnType<typeof openCodeSigning>;

const logged = (): string => (existsSync(lab.path(`${data}\\transport.log`)) ? readFileSync(lab.path(`${data}\\transport.log`), 'utf8') : 'no log');

async function connected(): Promise<void> {
  await until('the Windows host to be connected', 60_000, async () => {
    const { hosts } = (await platform.ok('node', 'list')) as { hosts: { name: string; link: string }[] };
    return hosts.find(({ name }) => name === 'win')?.link === 'connected' ? true : undefined;
  }, { everyMs: 300 }).catch((error: Error) => {
    throw new Error(`${error.message}: ${logged().slice(-4000)}`, { cause: error });
  });
}

async function install(version: string): Promise<void> {
  const laid = await layOutForWindows(join(import.meta.dirname, '../..'), join(place, 'laid'), version);
  copyFileSync(makeMsi({ directory: laid.directory, version, out: place, signing }), join(lab.directory, 'tidemark.msi'));
  await lab.ok('msiexec', ['/i', 'Z:\\w\\lab\\tidemark.msi', '/qn', '/l*v', 'Z:\\w\\lab\\install.log'], { deadlineMs: 120_000 }).catch((error: Error) => {
    throw new Error(`${error.message}: ${readFileSync(join(lab.directory, 'install.log'), 'latin1').slice(-3000)}`, { cause: error });
  });
  await lab.awaitService(service, 'RUNNING').catch((error: Error) => {
    throw new Error(`${error.message}: ${logged().slice(-4000)}`, { cause: error });
  });
}

before(async () => {
  if (skip !== undefined) return;
  [lab, set] = await Promise.all([openWineLab(), openReplicaSet({ members: 1 })]);
  signing = openCodeSigning(place);
  client = await set.client();
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 5_000 }, (_, n) => ({ n, text: `order ${n}`, noise: randomBytes(400) })));
  platform = await openPlatform({ args: ['--hosts', '127.0.0.1', '--enrolment-port', String(await freePort()), '--agent-port', String(await freePort()), '--no-depot'] });
  port = await freePort();
});
after(async () => {
  await lab?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
  await client?.close();
  await set?.stop();
  rmSync(place, { recursive: true, force: true });
});

test('the installer puts a running service on a Windows host, and a kit in a file makes it a host of the server', { skip, timeout: 120_000 }, async () => {
  const settings = { listen: { address: '127.0.0.1', port }, data: { from: 32_600, to: 32_640 } };
  mkdirSync(lab.path(data), { recursive: true });
  writeFileSync(lab.path(`${data}\\transport.json`), JSON.stringify(settings));
  await install('1.0.0');
  const kit = join(place, 'kit.json');
  await platform.ok('node', 'add', 'win', '127.0.0.1', '--kit', kit, '--control-port', String(port), '--data-ports', '32600-32640');
  mkdirSync(lab.path(`${data}\\transport`), { recursive: true });
  copyFileSync(kit, lab.path(`${data}\\transport\\kit.json`));
  await connected();
  assert.ok(!existsSync(lab.path(`${data}\\transport\\kit.json`)), 'the kit is gone');
  const { token } = JSON.parse(readFileSync(kit, 'utf8')) as { token: string };
  const said = readFileSync(join(lab.directory, 'install.log'));
  assert.ok(!said.includes(token) && !said.includes(Buffer.from(token, 'utf16le')), 'the token is in no log of the installer');
});

test('the installer is signed, and a changed byte in it is seen', { skip }, () => {
  const verify = (file: string): string => execFileSync('osslsigncode', ['verify', '-CAfile', signing.authority, '-in', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const msi = join(lab.directory, 'tidemark.msi');
  assert.match(verify(msi), /Succeeded/);
  const bytes = readFileSync(msi);
  bytes[bytes.length >> 1]! ^= 1;
  const changed = join(place, 'changed.msi');
  writeFileSync(changed, bytes);
  assert.throws(() => verify(changed), (error: { stdout?: string }) => /MISMATCH|[Ff]ailed/.test(error.stdout ?? ''));
});

test('the Windows host has said what it runs; the ports to it and back are in the plan, each side tries its own, and cmd reads the text for netsh', { skip, timeout: 120_000 }, async () => {
  const passphrase = join(place, 'passphrase');
  writeFileSync(passphrase, 'a passphrase for the vault\n', { mode: 0o600 });
  await platform.ok('repository', 'add', 'vault', 'C:\\Backup\\tidemark', '--node', 'win', '--passphrase-file', passphrase);
  await platform.ok('set', 'add', set.uri, '--repository', 'vault');
  const shown = await platform.ok('node', 'show', 'win');
  assert.equal(shown.platform, 'windows');
  const { json } = await platform.tidemark('ports', 'check', '--host', 'win');
  const rows = json.rows as { row: number; from: { name: string }; ports: { from: number }[]; outcome: string; says: string; optional: boolean }[];
  const met = (row: number, from: number): string => rows.filter((entry) => entry.row === row && entry.ports[0]!.from === from).map(({ outcome, optional }) => `${outcome}${optional ? ', optional' : ''}`).join();
  assert.equal(met(3, shown.controlPort), 'good', JSON.stringify(rows));
  assert.equal(met(14, shown.dataFrom), 'good', 'the server\'s machine has the set');
  assert.equal(met(5, 11_731), 'good, optional', 'it was enrolled with a kit, and listens there for the try');
  for (const [row, port] of [[5, 445], [5, 135], [6, 49_152]] as const) assert.match(met(row, port), /, optional$/, String(port));
  assert.deepEqual(rows.filter(({ row }) => row === 9).map(({ from, outcome }) => `${from.name} ${outcome}`), ['win good'], 'and back');
  const { texts } = (await platform.ok('ports', 'export', '--format', 'netsh', '--host', 'win')) as { texts: { text: string }[] };
  for (const wanted of [`localport=${shown.dataFrom}-${shown.dataTo} `, 'localport=445 ', 'localport=135 ', 'localport=11731 ', 'localport=49152-65535 ']) assert.ok(texts[0]!.text.includes(wanted), wanted);
  writeFileSync(join(lab.directory, 'rules.cmd'), texts[0]!.text);
  await lab.ok('cmd', ['/c', 'Z:\\w\\lab\\rules.cmd']);
  assert.equal(windowsShellIn(await lab.ok('cmd', ['/c', systemQuestion])), 'cmd.exe', 'as OpenSSH of Windows hands a command to it');
});

test('paths of the other system are refused by their names; a share is signed in to with its own account, as far as Wine goes', { skip, timeout: 60_000 }, async () => {
  const passphrase = join(place, 'passphrase');
  const refused = async (...words: string[]): Promise<string> => {
    const { failure } = (await platform.tidemark('repository', 'add', 'bad', ...words, '--passphrase-file', passphrase)).json;
    return `${failure.code}: ${failure.message}`;
  };
  assert.match(await refused('/srv/backup', '--node', 'win'), /^repository\.path-refused: .*: \/srv\/backup is a path of Linux, and this host runs Windows$/);
  assert.match(await refused('C:\\Backup\\x'), /^repository\.path-refused: .*: C:\\Backup\\x is a path of Windows, and this host runs Linux$/);
  // Wine has the call and no network behind it: that it is made is shown here, and that its answer is understood.
  const secret = join(place, 'share-password');
  writeFileSync(secret, 'a password of the share\n', { mode: 0o600 });
  const share = await refused('smb://nas/backup/other', '--gateway', 'win', '--share-user', 'CORP\\tide', '--share-password-file', secret);
  assert.equal(share, 'repository.share-unreachable: \\\\nas\\backup\\other cannot be reached: this host has no network of Windows (Win32 error 1222)');
  assert.ok(!readFileSync(lab.path('C:\\ProgramData\\Tidemark\\transport.log'), 'utf8').includes('a password of the share'));
});

test('a set of a Linux host is backed up into a repository on the Windows host, proved from there, and comes back the same', { skip, timeout: 180_000 }, async () => {
  const passphrase = join(place, 'passphrase');
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

test('a newer installer keeps the service and the host, and taking it away leaves no service, nothing of the programs but what Wine finds in use, and every backup', { skip, timeout: 120_000 }, async () => {
  await install('1.1.0');
  await connected();
  const shown = await platform.ok('node', 'show', 'win');
  assert.match(JSON.stringify(shown), /1\.1\.0/);
  await lab.ok('msiexec', ['/x', 'Z:\\w\\lab\\tidemark.msi', '/qn'], { deadlineMs: 120_000 });
  await lab.awaitService(service, undefined);
  // Wine removes files some milliseconds after STOPPED, and does not come back to what the process that is ending has mapped.
  const programs = lab.path('C:\\Program Files\\Tidemark\\transport');
  const left = existsSync(programs) ? readdirSync(programs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
  assert.deepEqual(left.map(({ name }) => name).filter((name) => name !== 'node.exe' && !name.endsWith('.node')), []);
  assert.equal(readdirSync(lab.path('C:\\Backup\\tidemark\\sets')).length, 1);
});
