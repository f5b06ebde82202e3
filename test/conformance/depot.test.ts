/** The distribution server on real sockets: who gets what, and everything it refuses. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { SomeHandlers } from '../../src/contract/link/answerer.ts';
import { openOrderServer } from '../../src/contract/link/listen.ts';
import { admitPart, type LinkIdentity, type Part } from '../../src/contract/link/trust.ts';
import { openManifest, packageFile, type PackageManifest } from '../../src/contract/packages.ts';
import { openDepot, type Depot } from '../../src/depot/depot.ts';
import { openSigningKey, type SigningKey } from '../../src/depot/signing-key.ts';
import { openAuthority, type Authority } from '../../src/server/authority.ts';

const place = mkdtempSync(join(tmpdir(), 'tidemark-depot-'));
const bytes = randomBytes(300_000);
let authority: Authority;
let key: SigningKey;
let depot: Depot;
let server: LinkIdentity;
let deployer: LinkIdentity;

const identity = async (part: Part): Promise<LinkIdentity> => await authority.issue({ part, name: part, hosts: ['127.0.0.1'] });

function put(version: string, change: { bytes?: Buffer; signature?: string; as?: string } = {}): PackageManifest {
  const manifest: PackageManifest = { name: 'tidemark-transport', version, platform: 'linux-x64', sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length, builtAt: 'now' };
  const signed = key.sign(manifest);
  const stem = join(place, 'depot/packages', change.as ?? packageFile(manifest));
  writeFileSync(`${stem}.tar.gz`, change.bytes ?? bytes);
  writeFileSync(`${stem}.json`, signed.manifest);
  writeFileSync(`${stem}.json.sig`, change.signature ?? signed.signature);
  return manifest;
}

before(async () => {
  authority = await openAuthority(join(place, 'authority'), systemClock, async () => {});
  mkdirSync(join(place, 'depot/packages'), { recursive: true });
  key = await openSigningKey(join(place, 'depot/signing.key'));
  put('1.0.0');
  put('1.1.0');
  put('1.2.0', { bytes: Buffer.concat([bytes.subarray(1), Buffer.from('x')]) });
  put('1.3.0', { signature: '' });
  put('1.4.0', { as: 'tidemark-transport-9.9.9-linux-x64' });
  [server, deployer] = [await identity('server'), await identity('deployer')];
  depot = await openDepot({ directory: join(place, 'depot'), identity: await identity('depot'), api: { host: '127.0.0.1', port: 0 }, installer: { host: '127.0.0.1', port: 0 }, version: 'test', log: silentLog });
});
after(async () => {
  await depot.close();
  rmSync(place, { recursive: true });
});

type Answer = { readonly status: number; readonly body: Buffer; readonly json: any; readonly headers: Record<string, unknown> };

async function ask(path: string, options: { as?: LinkIdentity; send?: unknown; port?: number; headers?: Record<string, string> } = {}): Promise<Answer> {
  const { as: who, send, ...more } = options;
  return await new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: depot.apiPort, path, method: send === undefined ? 'GET' : 'POST', ca: authority.caPem, key: who?.keyPem, cert: who?.certificatePem, agent: false, timeout: 10_000, ...more, headers: { 'content-type': 'application/json', ...more.headers } },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const body = Buffer.concat(parts);
          let json: unknown;
          try {
            json = JSON.parse(body.toString());
          } catch {
            // Bytes of a package.
          }
          resolve({ status: answer.statusCode!, body, json, headers: answer.headers });
        });
      },
    );
    asked.on('error', reject);
    asked.end(send === undefined ? undefined : JSON.stringify(send));
  });
}

const install = (send: unknown): Promise<Answer> => ask('/install', { port: depot.installerPort, send });
const wanted = { name: 'tidemark-transport', version: 'latest', platform: 'linux-x64', host: 'db1', kit: 'the kit' };

test('packages are listed newest first; damaged, unsigned and misnamed ones are refused by name', async () => {
  const { json } = await ask('/packages', { as: deployer });
  assert.deepEqual(json.packages.map(({ version }: PackageManifest) => version), ['1.1.0', '1.0.0']);
  assert.deepEqual(json.refused.map(({ file, why }: { file: string; why: string }) => [/-(\d.\d.\d)-/.exec(file)![1], why]), [
    ['1.2.0', 'its bytes are not those of its manifest'],
    ['1.3.0', 'tidemark-transport 1.3.0 is not signed by the key this host trusts'],
    ['9.9.9', 'its manifest is that of tidemark-transport-1.4.0-linux-x64'],
  ]);
  assert.equal((await ask('/packages/tidemark-transport/1.2.0/linux-x64/bytes', { as: deployer })).status, 404);
});

test('a manifest comes with its signature, and its bytes whole or in ranges', async () => {
  const { json: signed } = await ask('/packages/tidemark-transport/latest/linux-x64', { as: deployer });
  const { json } = await ask('/key', { as: deployer });
  assert.equal(openManifest(signed, json.publicKeyPem).version, '1.1.0');
  const at = '/packages/tidemark-transport/1.1.0/linux-x64/bytes';
  assert.deepEqual((await ask(at, { as: deployer })).body, bytes);
  const part = await ask(at, { as: deployer, headers: { range: 'bytes=1000-1999' } });
  assert.deepEqual([part.status, part.headers['content-range'], part.body], [206, `bytes 1000-1999/${bytes.length}`, bytes.subarray(1000, 2000)]);
  assert.equal((await ask(at, { as: deployer, headers: { range: 'bytes=999999-' } })).status, 416);
});

test('nothing is answered to a peer without a certificate, or with one of another authority or part', async () => {
  const other = await openAuthority(join(place, 'other'), systemClock, async () => {});
  const strangers: (LinkIdentity | undefined)[] = [undefined, await other.issue({ part: 'server', name: 'server', hosts: [] }), await identity('depot')];
  for (const stranger of strangers) await assert.rejects(ask('/key', { as: stranger }), /hang up|ECONNRESET/);
});

test('only the server makes install tokens and has packages sent', async () => {
  for (const [path, send] of [['/install-tokens', wanted], ['/packages/tidemark-transport/latest/linux-x64/send', { host: 'db1', address: '127.0.0.1', port: 1 }]] as const) {
    const { status, json } = await ask(path, { as: deployer, send });
    assert.deepEqual([status, json.code], [403, 'depot.not-for-this-part'], path);
  }
});

test('a package is sent to the deployer of the host that is named, whole and from the byte it has, and to no other one', async () => {
  const pieces: Buffer[] = [bytes.subarray(0, 100_000)];
  const size = (): number => pieces.reduce((sum, piece) => sum + piece.length, 0);
  const handlers: SomeHandlers = {
    'deployer.offer': async () => await Promise.resolve({ have: size() }),
    'deployer.piece': async ({ offset, base64 }) => {
      assert.equal(offset, size());
      pieces.push(Buffer.from(base64, 'base64'));
      return await Promise.resolve({ have: size() });
    },
  };
  await using there = await openOrderServer({ host: '127.0.0.1', port: 0, identity: await authority.issue({ part: 'deployer', name: 'db1', hosts: [] }), handlers, admit: admitPart('depot'), version: 'test', log: silentLog });
  const send = async (host: string) => await ask('/packages/tidemark-transport/1.1.0/linux-x64/send', { as: server, send: { host, address: '127.0.0.1', port: there.port } });
  assert.equal((await send('db2')).json.code, 'contract.link-refused', 'the certificate there is of another host');
  const { status, json } = await send('db1');
  assert.deepEqual([status, json.bytes], [200, bytes.length]);
  assert.deepEqual(Buffer.concat(pieces), bytes);
});

test('a host without a certificate fetches its kit and its package with a token, once', async () => {
  const { json: made } = await ask('/install-tokens', { as: server, send: wanted });
  const { status, json } = await install({ token: made.token });
  assert.deepEqual([status, json.kit, json.host], [200, 'the kit', 'db1']);
  assert.equal(openManifest(json.package, json.publicKeyPem).version, '1.1.0');
  const fetched = await ask('/install/bytes', { port: depot.installerPort, headers: { authorization: `Bearer ${json.ticket}` } });
  assert.deepEqual(fetched.body, bytes);
  const again = await install({ token: made.token });
  assert.deepEqual([again.status, again.json.code], [401, 'depot.install-token-refused']);
  for (const path of ['/packages', '/key', '/install/bytes']) assert.notEqual((await ask(path, { port: depot.installerPort })).status, 200, path);
});

test('a package that does not exist has no token, and nonsense is refused with words', async () => {
  assert.equal((await ask('/install-tokens', { as: server, send: { ...wanted, version: '7.0.0' } })).status, 404);
  const { status, json } = await ask('/packages/tidemark-transport/..%2f..%2fetc/linux-x64', { as: deployer });
  assert.deepEqual([status, json.code], [400, 'depot.question-not-understood']);
});

test('a busy port is refused by the name of its holder', async () => {
  const more = { directory: join(place, 'depot'), identity: server, installer: { host: '127.0.0.1', port: 0 }, version: 'test', log: silentLog };
  await assert.rejects(openDepot({ ...more, api: { host: '127.0.0.1', port: depot.apiPort } }), { code: 'contract.port-in-use', message: new RegExp(`pid ${process.pid} `) });
});
