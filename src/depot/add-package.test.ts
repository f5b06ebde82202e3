import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { packageFile, type PackageManifest } from '../contract/packages.ts';
import { addPackage } from './add-package.ts';
import { openPackageStore } from './package-store.ts';
import { openSigningKey, type SigningKey } from './signing-key.ts';

let place: string;
let key: SigningKey;
beforeEach(async () => {
  place = mkdtempSync(join(tmpdir(), 'tidemark-add-package-'));
  key = await openSigningKey(join(place, 'depot/signing.key'));
});
afterEach(() => rmSync(place, { recursive: true }));

/** An archive as "npm run package" makes it; `inside` is the version that it has of itself. */
function build(version: string, options: { by?: SigningKey; inside?: string } = {}): string {
  const { by, inside = version } = options;
  const folder = join(place, `tidemark-transport-${version}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'tidemark-transport', version: inside }));
  const file = join(place, `tidemark-transport-${version}-linux-x64.tar.gz`);
  execFileSync('tar', ['-czf', file, '-C', place, `tidemark-transport-${version}`]);
  if (by === undefined) return file;
  const manifest: PackageManifest = { name: 'tidemark-transport', version, platform: 'linux-x64', sha256: createHash('sha256').update(readFileSync(file)).digest('hex'), bytes: statSync(file).size, builtAt: 'now' };
  const signed = by.sign(manifest);
  writeFileSync(join(place, `${packageFile(manifest)}.json`), signed.manifest);
  writeFileSync(join(place, `${packageFile(manifest)}.json.sig`), `${signed.signature}\n`);
  return file;
}

const add = async (file: string, isVouchedFor = false) => await addPackage(join(place, 'depot'), file, isVouchedFor, systemClock);
const offered = async () => (await (await openPackageStore(join(place, 'depot/packages'), key.publicKeyPem)).list()).map(({ manifest }) => manifest.version);
const refused = (why: RegExp) => ({ code: 'depot.package-refused', message: why });

test('what the key of this distribution server has signed is taken and offered, and a second time changes nothing', async () => {
  const file = build('1.0.0', { by: key });
  assert.equal((await add(file)).before, false);
  assert.equal((await add(file)).before, true);
  assert.deepEqual(await offered(), ['1.0.0']);
});

test('what is not signed, signed by another, or changed since is refused, and nothing of it is there', async () => {
  await assert.rejects(add(build('1.0.0')), refused(/not beside it/));
  await assert.rejects(add(build('1.1.0', { by: await openSigningKey(join(place, 'other.key')) })), refused(/not signed by the key of this/));
  const changed = build('1.2.0', { by: key });
  writeFileSync(changed, Buffer.concat([readFileSync(changed), Buffer.from('x')]));
  await assert.rejects(add(changed), refused(/not those of its manifest/));
  await assert.rejects(add(join(place, 'tidemark-transport-9.0.0-linux-x64.tar.gz')), refused(/ENOENT/));
  assert.deepEqual(await offered(), []);
});

test('what somebody vouches for is signed here, under the name and version that are in it', async () => {
  await add(build('1.0.0'), true);
  assert.deepEqual(await offered(), ['1.0.0']);
  await assert.rejects(add(build('1.1.0', { inside: '1.0.9' }), true), refused(/in it is tidemark-transport 1\.0\.9/));
  const odd = join(place, 'something.tar.gz');
  writeFileSync(odd, 'nothing');
  await assert.rejects(add(odd, true), refused(/not called NAME-VERSION-PLATFORM/));
});

test('other bytes under a version that is there already are refused', async () => {
  await add(build('1.0.0', { by: key }));
  writeFileSync(join(place, 'tidemark-transport-1.0.0/more'), 'more');
  await assert.rejects(add(build('1.0.0', { by: key })), refused(/another tidemark-transport 1\.0\.0 for linux-x64 is there/));
});
