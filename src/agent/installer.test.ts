import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { freePort } from '../../test/kit/platform.ts';
import { openTestAuthority } from '../../test/kit/test-authority.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { firstContact, type ContactPath } from '../contract/first-contact.ts';
import { askForJson } from '../contract/link/ask-once.ts';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import { openInstaller, type Installer } from './installer.ts';

const signer = generateKeyPairSync('ed25519');
const msi = randomBytes(5_000_000);
const token = 'the token of this contact';
let directory: string;
let authority: Awaited<ReturnType<typeof openTestAuthority>>;
let installer: Installer;
let port: number;
let installed: Buffer[];

const packageOf = (more: object = {}, key = signer.privateKey) => {
  const manifest = JSON.stringify({ name: 'tidemark-deployer', version: '1.2.3', platform: 'windows-x64', sha256: createHash('sha256').update(msi).digest('hex'), bytes: msi.length, builtAt: 'now', ...more });
  return { manifest, signature: sign(null, Buffer.from(manifest), key).toString('base64') };
};
const kit = { kind: 'tidemark-kit', host: 'win1', part: 'deployer', server: { address: 'tide', enrolmentPort: 1, controlPort: 2 }, fingerprint: 'a'.repeat(64), token: 't', expiresAtMs: 1, dials: 'server', listen: { address: 'win1', port: 6162 }, packageKey: null } as const;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tm-installer-'));
  authority = await openTestAuthority();
  port = await freePort();
  installed = [];
  const { caPem } = await authority.issue('server', 'server');
  writeFileSync(join(directory, 'contact.json'), JSON.stringify({ kind: 'tidemark-first-contact', host: 'h1', tokenHash: createHash('sha256').update(token).digest('hex'), caPem, packageKey: signer.publicKey.export({ type: 'spki', format: 'pem' }), port, expiresAtMs: systemClock.now() + 60_000 }));
  installer = await openInstaller({ directory, platform: 'windows-x64', address: '127.0.0.1', kitFile: join(directory, 'kept/kit.json'), settingsFile: join(directory, 'kept/settings.json'), install: async (file) => void installed.push(readFileSync(file)), clock: systemClock, log: silentLog });
});
afterEach(async () => {
  await installer.close();
  await authority[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
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
  assert.deepEqual(JSON.parse(readFileSync(join(directory, 'kept/kit.json'), 'utf8')), kit);
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
  assert.ok(!existsSync(join(directory, 'kept/kit.json')));
});
