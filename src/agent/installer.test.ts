import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { freePort } from '../../test/kit/free-port.ts';
import { openTestAuthority } from '../../test/kit/test-authority.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { firstContact, type ContactPath } from '../contract/first-contact.ts';
import { askForJson } from '../contract/link/ask-once.ts';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import { openInstaller, type Installer, type InstallerOptions } from './installer.ts';

const signer = generateKeyPairSync('ed25519');
const msi = randomBytes(5_000_000);
const name = `TidemarkInstaller-${'0a'.repeat(16)}`;
const token = 'the token of this contact';
let root: string;
let directory: string;
let kept: string[];
let authority: Awaited<ReturnType<typeof openTestAuthority>>;
let installer: Installer;
let port: number;
let installed: Buffer[];
let files: string[];

const packageOf = (more: object = {}, key = signer.privateKey) => {
  const manifest = JSON.stringify({ name: 'tidemark-deployer', version: '1.2.3', platform: 'windows-x64', sha256: createHash('sha256').update(msi).digest('hex'), bytes: msi.length, builtAt: 'now', ...more });
  return { manifest, signature: sign(null, Buffer.from(manifest), key).toString('base64') };
};
const kit = { kind: 'tidemark-kit', host: 'win1', part: 'deployer', server: { address: 'tide', enrolmentPort: 1, controlPort: 2 }, fingerprint: 'a'.repeat(64), token: 't', expiresAtMs: 1, dials: 'server', listen: { address: 'win1', port: 6162 }, packageKey: null } as const;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tm-installer-'));
  directory = join(root, name);
  mkdirSync(directory);
  kept = [];
  authority = await openTestAuthority();
  port = await freePort();
  installed = [];
  files = [];
  const { caPem } = await authority.issue('server', 'server');
  writeFileSync(join(directory, 'contact.json'), JSON.stringify({ kind: 'tidemark-first-contact', folder: name, host: 'h1', tokenHash: createHash('sha256').update(token).digest('hex'), caPem, packageKey: signer.publicKey.export({ type: 'spki', format: 'pem' }), port, expiresAtMs: systemClock.now() + 60_000 }));
  installer = await openInstaller(options());
});
const options = (more: Partial<InstallerOptions> = {}): InstallerOptions => ({ directory, systemRoot: root, keepFromOthers: async (folder) => void kept.push(folder), platform: 'windows-x64', address: '127.0.0.1', home: join(directory, 'home'), install: async (file) => {
  files.push(file);
  installed.push(readFileSync(file));
}, clock: systemClock, log: silentLog, ...more });
afterEach(async () => {
  await installer.close();
  await authority[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

async function askAs(identity: LinkIdentity, path: ContactPath, body: object): Promise<any> {
  const pinned = new X509Certificate(readFileSync(join(directory, 'installer.pem')));
  const fail = (why: string): Error => new Error(why);
  const distrust = (socket: { getPeerX509Certificate(): X509Certificate | undefined }): string | undefined => (socket.getPeerX509Certificate()?.raw.equals(pinned.raw) === true ? undefined : 'another certificate');
  return await askForJson(firstContact[path].output, { host: '127.0.0.1', port, tls: { ...tlsOptions(identity), servername: '', checkServerIdentity: () => undefined }, distrust, notTrusted: fail, notReached: fail }, { path, body, deadlineMs: 10_000 });
}
const ask = async (path: ContactPath, body: object): Promise<any> => await askAs(await authority.issue('server', 'server'), path, body);
const begin = async (): Promise<string> => (await ask('/begin', { token })).ticket as string;
const refused = (why: RegExp) => ({ code: 'agent.contact-refused', message: why });

test('it installs the package that was signed, with the kit laid down before, and ends when it is told to', async () => {
  const ticket = await begin();
  let { have } = await ask('/offer', { ticket, package: packageOf() });
  while (have < msi.length) ({ have } = await ask('/piece', { ticket, offset: have, base64: msi.subarray(have, have + (4 << 20)).toString('base64') }));
  assert.deepEqual(await ask('/install', { ticket, kit, deployerPort: 6161 }), { version: '1.2.3' });
  assert.ok(installed[0]!.equals(msi));
  assert.deepEqual(kept, [directory], 'taken from everybody else before it listened');
  assert.notEqual(dirname(files[0]!), directory);
  assert.ok(files[0]!.startsWith(directory) && /^[0-9a-f]{32}$/.test(basename(dirname(files[0]!))), 'what is installed lies where nobody could know');
  assert.deepEqual(JSON.parse(readFileSync(join(directory, 'home/deployer/kit.json'), 'utf8')), kit);
  await ask('/end', { ticket });
  assert.match(await installer.ended, /the server has what it wanted/);
});

test('a token that is wrong, used already or tried too often opens nothing', async () => {
  for (let k = 0; k < 2; k++) await assert.rejects(ask('/begin', { token: `guess ${k}` }), refused(/not the one/));
  const ticket = await begin();
  await assert.rejects(ask('/begin', { token }), refused(/used already/));
  await assert.rejects(ask('/offer', { ticket: `${ticket}x`, package: packageOf() }), refused(/ticket/));
  for (let k = 2; k < 20; k++) await assert.rejects(ask('/begin', { token: `guess ${k}` }), refused(/./));
});

test('twenty wrong tokens shut the right one out too', async () => {
  for (let k = 0; k < 20; k++) await assert.rejects(ask('/begin', { token: `guess ${k}` }), refused(/not the one/));
  await assert.rejects(ask('/begin', { token }), refused(/too many/));
});

test('a stranger, a transport and a server of another authority get no answer', async () => {
  await using other = await openTestAuthority();
  for (const identity of [await other.issue('server', 'server'), await authority.issue('transport', 'h2')]) await assert.rejects(askAs(identity, '/begin', { token }));
  assert.ok((await begin()).length > 20, 'and none of them has used the token');
});

test('a package that is unsigned, signed by another key, for Linux or of other bytes is not installed', async () => {
  const ticket = await begin();
  await assert.rejects(ask('/install', { ticket, kit, deployerPort: 6160 }), refused(/no package/));
  await assert.rejects(ask('/offer', { ticket, package: packageOf({}, generateKeyPairSync('ed25519').privateKey) }), { code: 'contract.package-not-signed' });
  await assert.rejects(ask('/offer', { ticket, package: packageOf({ platform: 'linux-x64' }) }), { code: 'agent.wrong-platform' });
  await ask('/offer', { ticket, package: packageOf({ sha256: 'a'.repeat(64), bytes: 10 }) });
  await assert.rejects(ask('/piece', { ticket, offset: 0, base64: Buffer.from('0123456789').toString('base64') }), { code: 'agent.package-damaged' });
  await assert.rejects(ask('/install', { ticket, kit, deployerPort: 6160 }), { code: 'agent.package-incomplete' });
  assert.equal(installed.length, 0);
  assert.ok(!existsSync(join(directory, 'home/deployer/kit.json')));
});

test('it does not listen from another folder than the one it was put to, nor from one that others may write to', async () => {
  await assert.rejects(openInstaller(options({ systemRoot: tmpdir() })), refused(/is not directly below/));
  const other = join(root, 'TidemarkInstaller');
  cpSync(directory, other, { recursive: true });
  await assert.rejects(openInstaller(options({ directory: other })), refused(/lies in/));
  const link = join(mkdtempSync(join(root, 'elsewhere-')), name);
  symlinkSync(directory, link);
  await assert.rejects(openInstaller(options({ directory: link, systemRoot: dirname(link) })), refused(/is a link/));
  await assert.rejects(openInstaller(options({ keepFromOthers: async () => await Promise.reject(new Error('not granted')) })), /not granted/);
});

test('the copy that is handed to Windows Installer is checked itself: bytes changed after they were received are not installed', async () => {
  const ticket = await begin();
  let { have } = await ask('/offer', { ticket, package: packageOf() });
  while (have < msi.length) ({ have } = await ask('/piece', { ticket, offset: have, base64: msi.subarray(have, have + (4 << 20)).toString('base64') }));
  const received = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((path) => path.endsWith('.tar.gz'))!;
  writeFileSync(join(directory, received), randomBytes(msi.length));
  await assert.rejects(ask('/install', { ticket, kit, deployerPort: 6160 }), { code: 'agent.package-damaged', message: /of the copy/ });
  assert.equal(installed.length, 0);
  assert.ok(!existsSync(join(directory, 'home/deployer/kit.json')));
});
