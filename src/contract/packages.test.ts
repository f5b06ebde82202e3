import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { compareVersions, openManifest, type PackageManifest } from './packages.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const manifest: PackageManifest = { name: 'tidemark-transport', version: '1.2.3', platform: 'linux-x64', sha256: 'ab'.repeat(32), bytes: 7, builtAt: '2026-11-25T18:00:00Z' };
const signed = (text: string) => ({ manifest: text, signature: sign(null, Buffer.from(text), privateKey).toString('base64') });

test('a manifest opens with the key that signed it, byte for byte', () => {
  assert.deepEqual(openManifest(signed(JSON.stringify(manifest)), pem), manifest);
  assert.deepEqual(openManifest(signed(JSON.stringify(manifest, null, 2)), pem), manifest);
});

test('a changed manifest, an absent signature and another key are refused by the name they claim', () => {
  const good = signed(JSON.stringify(manifest));
  const refused = { code: 'contract.package-not-signed', message: 'tidemark-transport 1.2.3 is not signed by the key this host trusts' };
  assert.throws(() => openManifest({ ...good, manifest: good.manifest.replace('"bytes":7', '"bytes":8') }, pem), refused);
  assert.throws(() => openManifest({ ...good, signature: '' }, pem), refused);
  assert.throws(() => openManifest(good, generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()), refused);
  assert.throws(() => openManifest({ manifest: 'not even JSON', signature: good.signature }, pem), { code: 'contract.package-not-signed' });
});

test('what is signed and still makes no sense is refused before it is used', () => {
  for (const wrong of [{ ...manifest, version: '../../etc' }, { ...manifest, name: 'nginx' }, { ...manifest, more: 1 }, { ...manifest, bytes: -1 }]) {
    assert.throws(() => openManifest(signed(JSON.stringify(wrong)), pem), { code: 'contract.manifest-not-understood' });
  }
});

test('versions are older and newer by their numbers, and a suffix comes before the release', () => {
  const order = ['0.9.9', '0.10.0-rc.2', '0.10.0-rc.10', '0.10.0', '0.10.1', '1.0.0'];
  for (const [at, version] of order.entries()) {
    for (const [other, than] of order.entries()) assert.equal(Math.sign(compareVersions(version, than)), Math.sign(at - other), `${version} ${than}`);
  }
});
