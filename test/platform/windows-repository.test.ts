/**
 * A Windows host: its deployer is installed from a deployment kit, brings the transport from a distribution server, and
 * the repository there is full of what a Linux host with a real mongod sends it; then the distribution server is a service there too. Wine stands in for Windows; programs, services and
 * packages are the product's own (docs/reference/windows.md).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { whyNoMsi } from '../../scripts/package/msi.ts';
import { layOutWindowsInstaller } from '../../scripts/package/windows-installer.ts';
import type { WindowsPackage } from '../../scripts/package/windows-layout.ts';
import { until } from '../../src/base/deadline.ts';
import { openSigningKey, type SigningKey } from '../../src/depot/signing-key.ts';
import { systemQuestion, windowsShellIn } from '../../src/ssh/windows-shell.ts';
import { freePort } from '../kit/free-port.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openWindowsHost, whyNoWindowsHost, type WindowsHost } from '../kit/windows-host.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';
import { openWindowsPackages, type WindowsPackages } from '../kit/windows-packages.ts';
import { openWindowsSshd } from '../kit/windows-sshd.ts';
import { openWineLab, whyNoWine, type WineLab } from '../kit/wine-lab.ts';

const skip = whyNoWine() ?? whyNoMsi() ?? (whyNoWindowsHost() || undefined);
const home = 'C:\\ProgramData\\Tidemark';
const place = mkdtempSync(join(tmpdir(), 'tm-windows-'));
let lab: WineLab;
let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let packages: WindowsPackages;
let key: SigningKey;
let depotDir: string;
let windows: WindowsHost;
/** Free on all addresses of this machine, whose network Wine has. */
let ports: { transport: number; deployer: number };
const add = async (): Promise<unknown> => await platform.ok('node', 'add', 'win', windows.address, '--control-port', String(ports.transport), '--deployer-port', String(ports.deployer), '--data-ports', '32600-32640');
const args: string[] = [];
const installerDirectory = join(import.meta.dirname, '../../windows-installer');

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

/** Into the distribution server, which takes what its key has signed. */
async function offer(name: WindowsPackage, version: string, more: { broken?: boolean } = {}): Promise<void> {
  const { packages: [added] } = await platform.ok('package', 'add', await packages.msi(name, version, key, more), '--depot-dir', depotDir);
  assert.equal(added.platform, 'windows-x64');
}

before(async () => {
  if (skip !== undefined) return;
  [lab, set] = await Promise.all([openWineLab(), openReplicaSet({ members: 1 })]);
  packages = openWindowsPackages(place);
  client = await set.client();
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 5_000 }, (_, n) => ({ n, text: `order ${n}`, noise: randomBytes(400) })));
  windows = await openWindowsHost({ lab });
  for (const option of ['--enrolment-port', '--agent-port', '--depot-port', '--installer-port']) args.push(option, String(await freePort()));
  args.unshift('--hosts', '127.0.0.1');
  platform = await openPlatform({ keptIn: [process.execPath], args });
  depotDir = join(platform.dataDir, 'depot');
  key = await openSigningKey(join(depotDir, 'signing.key'));
  ports = { transport: await freePort(), deployer: await freePort() };
  // As a package of the server has it.
  await layOutWindowsInstaller(join(import.meta.dirname, '../..'), join(place, 'installer'));
  symlinkSync(join(place, 'installer'), installerDirectory);
});
after(async () => {
  rmSync(installerDirectory, { force: true });
  await windows?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
  await client?.close();
  await set?.stop();
  rmSync(place, { recursive: true, force: true });
});

test('a folder that another user has made is not believed: the service does not start, nothing there is read, and it says why', { skip, timeout: 120_000 }, async () => {
  copyFileSync(await packages.msi('tidemark-deployer', '1.0.0', key), join(lab.directory, 'deployer.msi'));
  mkdirSync(lab.path(`${home}\\deployer`), { recursive: true });
  writeFileSync(lab.path(`${home}\\deployer.json`), 'settings of somebody else');
  chownSync(lab.path(home), 1000, 1000);
  assert.notEqual(await msiexec('/i', 'Z:\\w\\lab\\deployer.msi'), 0, 'Windows Installer takes it back');
  await lab.awaitService('tidemark-deployer', undefined);
  assert.match(textAt('C:\\Program Files\\Tidemark\\deployer\\refused.log'), /Tidemark is not believed, and nothing in it was read: it belongs to S-1-/);
  assert.deepEqual(readdirSync(lab.path(home)).sort(), ['deployer', 'deployer.json'], 'nothing was written there');
  rmSync(lab.path(home), { recursive: true });
});

test('an operator runs install.cmd of a deployment kit, and the host has a deployer of the server; what others could do in its folder they cannot any more', { skip, timeout: 120_000 }, async () => {
  await offer('tidemark-deployer', '1.0.0');
  mkdirSync(lab.path(`${home}\\deployer`), { recursive: true });
  writeFileSync(lab.path(`${home}\\deployer.json`), JSON.stringify({ listen: { address: windows.address, port: ports.deployer } }));
  writeFileSync(lab.path(`${home}\\transport.json`), JSON.stringify({ listen: { address: windows.address } }));
  chmodSync(lab.path(home), 0o777);
  chmodSync(lab.path(`${home}\\deployer`), 0o755);
  await add();
  await platform.ok('node', 'kit', 'win', '--installer', join(lab.directory, 'kit'), '--platform', 'windows-x64');
  const { token } = JSON.parse(readFileSync(join(lab.directory, 'kit/kit.json'), 'utf8')) as { token: string };
  const said = await lab.ok('cmd', ['/c', 'Z:\\w\\lab\\kit\\install.cmd'], { deadlineMs: 100_000 });
  assert.match(said, /tidemark-deployer 1\.0\.0 is installed/);
  assert.ok(!existsSync(join(lab.directory, 'kit/kit.json')), 'the token is not left behind');
  await until('the kit to be redeemed', 60_000, () => (existsSync(lab.path(`${home}\\deployer\\identity.json`)) && !existsSync(lab.path(`${home}\\deployer\\kit.json`)) ? true : undefined)).catch(withLogs);
  for (const path of [home, `${home}\\deployer`]) assert.equal(statSync(lab.path(path)).mode & 0o007, 0, path);
  assert.ok(!logged('deployer').includes(token));
});

test('the installers are signed, and a changed byte in one is seen', { skip }, () => {
  const verify = (file: string): string => execFileSync('osslsigncode', ['verify', '-CAfile', packages.authority, '-in', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const msi = join(lab.directory, 'kit/tidemark-deployer-1.0.0-windows-x64.msi');
  assert.match(verify(msi), /Succeeded/);
  const bytes = readFileSync(msi);
  bytes[bytes.length >> 1]! ^= 1;
  const changed = join(place, 'changed.msi');
  writeFileSync(changed, bytes);
  assert.throws(() => verify(changed), (error: { stdout?: string }) => /MISMATCH|[Ff]ailed/.test(error.stdout ?? ''));
});

test('the deployer gets the transport from the distribution server and has Windows Installer install it', { skip, timeout: 180_000 }, async () => {
  await offer('tidemark-transport', '1.0.0');
  const made = (await platform.ok('node', 'install', 'win').catch(withLogs)) as Record<string, unknown>;
  assert.deepEqual([made['state'], made['host'], made['platform'], made['version'], made['hostKey']], ['success', 'win', 'windows-x64', '1.0.0', null]);
  await connected();
});

test('everything is uninstalled by the deployer: no service, no settings, nothing of the programs but what Wine finds in use', { skip, timeout: 120_000 }, async () => {
  const made = (await platform.ok('node', 'uninstall', 'win', '--all', '--apply').catch(withLogs)) as { state: string };
  assert.ok(['success', 'warning'].includes(made.state), JSON.stringify(made));
  for (const service of ['tidemark-transport', 'tidemark-deployer']) await lab.awaitService(service, undefined);
  await until('the folder of settings to be gone', 30_000, () => (existsSync(lab.path(home)) ? undefined : true)).catch((error: Error) => {
    throw new Error(`${error.message}: ${readdirSync(lab.path(home), { recursive: true }).join()}`, { cause: error });
  });
  const programs = lab.path('C:\\Program Files\\Tidemark');
  const left = existsSync(programs) ? readdirSync(programs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
  // Wine removes files some milliseconds after STOPPED, and does not come back to what the process that is ending has mapped.
  assert.deepEqual(left.map(({ name }) => name).filter((name) => name !== 'node.exe' && !name.endsWith('.node')), []);
});

test('a host whose sshd lets an administrator in gets the deployer over SSH, and nothing of that stays there', { skip, timeout: 240_000 }, async () => {
  const own = 'C:\\users\\root';
  // Wine's cmd runs what is asked; what is for a shell of Unix it would not know either.
  await using sshd = await openWindowsSshd({ address: windows.address, home: lab.path(own), password: windows.account.password, answer: async (command) => {
    if (command.includes('\n')) return { out: '', err: "'printf' is not recognized as an internal or external command\r\n", code: 1 };
    const { code, said } = await lab.run('cmd', ['/d', '/c', 'cd', '/d', own, '&&', ...command.split(' ')], { deadlineMs: 120_000 });
    return { out: said, code };
  } });
  const password = join(place, 'password');
  writeFileSync(password, windows.account.password, { mode: 0o600 });
  await platform.ok('credential', 'add', 'over-ssh', '--user', windows.account.user, '--password-file', password, '--port', String(sshd.port));
  await add();
  const made = (await platform.ok('node', 'install', 'win', '--credential', 'over-ssh').catch(withLogs)) as Record<string, unknown>;
  assert.deepEqual([made['state'], made['platform']], ['success', 'windows-x64'], JSON.stringify(made));
  assert.match(String(made['hostKey']), /^SHA256:/);
  await connected();
  assert.deepEqual(readdirSync(lab.path(own)).filter((name) => name.startsWith('tidemark-')), []);
  await platform.ok('node', 'uninstall', 'win', '--all', '--apply').catch(withLogs);
  for (const service of ['tidemark-transport', 'tidemark-deployer']) await lab.awaitService(service, undefined);
});

test('a host with nothing of ours gets it all over 445: the installer as a service, the deployer, the transport, and no password is seen', { skip, timeout: 240_000 }, async () => {
  const password = join(place, 'password');
  writeFileSync(password, windows.account.password, { mode: 0o600 });
  await platform.ok('credential', 'add', 'administrator', '--for', 'windows', '--user', windows.account.user, '--password-file', password);
  await add();
  const made = (await platform.ok('node', 'install', 'win', '--credential', 'administrator').catch(withLogs)) as { state: string };
  assert.equal(made.state, 'success', `${JSON.stringify(made)}\n${windows.said()}`);
  await connected();
  // It ends by itself, and is stopped when it is still at that.
  assert.deepEqual(windows.done.filter(({ did }) => did !== 'stop').map(({ did, name }) => `${did} ${name}`), ['create TidemarkInstaller', 'start TidemarkInstaller', 'delete TidemarkInstaller']);
  assert.deepEqual(readdirSync(lab.path('C:\\windows')).filter((name) => name.startsWith('TidemarkInstaller')), []);
  assert.equal(statSync(lab.path(home)).mode & 0o007, 0);
  for (const service of ['deployer', 'transport']) assert.ok(!textAt(`${home}\\${service}.log`).includes(windows.account.password));
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
  for (const port of [445, 11_731]) assert.equal(met(5, port), 'good', `${port}: its services were pushed`);
  for (const [row, port] of [[5, 135], [6, 49_152]] as const) assert.match(met(row, port), /, optional$/, String(port));
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

test('a version of the transport that does not start is taken back, and the one before runs again', { skip, timeout: 180_000 }, async () => {
  await offer('tidemark-transport', '1.0.1', { broken: true });
  const { failure } = (await platform.tidemark('node', 'update', 'win')).json as { failure: { code: string; message: string } };
  assert.equal(failure.code, 'agent.service-not-healthy', JSON.stringify(failure));
  assert.match(failure.message, /^tidemark-transport 1\.0\.1 did not become healthy: Windows Installer did not install .*; 1\.0\.0 runs again$/);
  await connected();
  for (const name of readdirSync(join(depotDir, 'packages'))) if (name.includes('-1.0.1-')) rmSync(join(depotDir, 'packages', name));
});

test('the deployer moves to another port, starts itself again and is heard there', { skip, timeout: 120_000 }, async () => {
  const port = await freePort();
  const moved = (await platform.ok('node', 'configure', 'win', '--deployer-port', String(port)).catch(withLogs)) as { state: string };
  assert.equal(moved.state, 'success', JSON.stringify(moved));
  assert.deepEqual(JSON.parse(textAt(`${home}\\deployer.json`)), { listen: { port } });
});

test('a newer deployer replaces itself by an installer that outlives it', { skip, timeout: 180_000 }, async () => {
  await offer('tidemark-deployer', '1.1.0');
  const updated = (await platform.ok('node', 'update', 'win').catch(withLogs)) as { state: string; services: unknown };
  assert.equal(updated.state, 'success', JSON.stringify(updated));
  assert.deepEqual(updated.services, [{ name: 'tidemark-deployer', before: '1.0.0', version: '1.1.0' }, { name: 'tidemark-transport', before: '1.0.0', version: '1.0.0' }]);
  await connected();
});

test('the distribution server moves to the Windows host with its key and its packages: a service on 9380, from which the host is updated', { skip, timeout: 180_000 }, async () => {
  const there = lab.path(`${home}\\depot`);
  mkdirSync(there);
  cpSync(depotDir, there, { recursive: true, filter: (file) => !file.endsWith('identity.json') });
  const kit = join(place, 'depot-kit.json');
  await platform.ok('node', 'kit', 'win', '--kit', kit, '--part', 'depot');
  copyFileSync(kit, join(there, 'kit.json'));
  copyFileSync(await packages.msi('tidemark-depot', '1.0.0', key), join(lab.directory, 'depot.msi'));
  assert.equal(await msiexec('/i', 'Z:\\w\\lab\\depot.msi'), 0, logged('depot'));
  await until('the distribution server to listen', 60_000, () => (logged('depot').includes('"message":"listening"') ? true : undefined)).catch((error: Error) => {
    throw new Error(`${error.message}: ${logged('depot')}`, { cause: error });
  });
  depotDir = there;
  await offer('tidemark-transport', '1.1.0');
  await platform.kill9();
  args.splice(args.indexOf('--depot-port'), 4, '--depot', `${windows.address}:9380`);
  await platform.start();
  const updated = (await platform.ok('node', 'update', 'win').catch(withLogs)) as { services: { version: string }[] };
  assert.deepEqual(updated.services.map(({ version }) => version), ['1.1.0', '1.1.0'], 'Windows brought it to Windows');
  await connected();
  const checked = await platform.ok('repository', 'check', 'vault', '--read-data', '100');
  assert.equal(checked.state, 'success', 'every backup is still there');
});
