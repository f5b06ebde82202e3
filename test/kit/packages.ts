/** Packages of this checkout for tests on whole hosts: laid out once, then packed under the versions that a test wants. */
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDeb, makeRpm, makeTar } from '../../scripts/package/archives.ts';
import { layOut, type LaidOut, type LinuxPackage } from '../../scripts/package/layout.ts';
import { packageFile, type PackageManifest, type SignedManifest } from '../../src/contract/packages.ts';
import { openSigningKey, type SigningKey } from '../../src/depot/signing-key.ts';

export type BuiltPackage = { readonly manifest: PackageManifest; readonly signed: SignedManifest; readonly file: string };

export type Packages = {
  readonly directory: string;
  readonly key: SigningKey;
  laidOut(name: LinuxPackage): Promise<LaidOut>;
  /** `broken` does not start. */
  tar(name: LinuxPackage, version: string, more?: { broken?: boolean }): Promise<BuiltPackage>;
  deb(name: LinuxPackage, version: string): Promise<string>;
  rpm(name: LinuxPackage, version: string): Promise<string | undefined>;
  [Symbol.asyncDispose](): Promise<void>;
};

const root = join(import.meta.dirname, '../..');
const platform = `linux-${process.arch}` as PackageManifest['platform'];

export async function openPackages(): Promise<Packages> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-packages-'));
  const key = await openSigningKey(join(directory, 'signing.key'));
  const laid = new Map<LinuxPackage, Promise<LaidOut>>();
  const out = join(directory, 'out');
  mkdirSync(out);
  const laidOut = async (name: LinuxPackage): Promise<LaidOut> => {
    if (!laid.has(name)) laid.set(name, layOut(root, join(directory, name), name, '0.0.0'));
    return await laid.get(name)!;
  };
  const packed = async (name: LinuxPackage, version: string) => {
    const { directory: from } = await laidOut(name);
    writeFileSync(join(from, 'package.json'), `${JSON.stringify({ name, version, type: 'module', private: true })}\n`);
    return { name, version, directory: from, out };
  };
  return {
    directory,
    key,
    laidOut,
    async tar(name, version, more = {}) {
      const ready = await packed(name, version);
      const program = join(ready.directory, 'lib/main', `${name.replace('tidemark-', '')}.js`);
      const whole = readFileSync(program);
      if (more.broken === true) appendFileSync(program, "\nthrow new Error('made not to start');\n");
      const file = makeTar(ready, platform);
      writeFileSync(program, whole);
      const manifest: PackageManifest = { name, version, platform, sha256: createHash('sha256').update(readFileSync(file)).digest('hex'), bytes: statSync(file).size, builtAt: '2026-11-25T18:00:00Z' };
      const signed = key.sign(manifest);
      writeFileSync(join(out, `${packageFile(manifest)}.json`), signed.manifest);
      writeFileSync(join(out, `${packageFile(manifest)}.json.sig`), `${signed.signature}\n`);
      return { manifest, signed, file };
    },
    deb: async (name, version) => makeDeb(await packed(name, version)),
    rpm: async (name, version) => makeRpm(await packed(name, version)),
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
