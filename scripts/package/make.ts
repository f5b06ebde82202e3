/** Builds one package in the wanted forms and signs its archive. */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFile, type PackageManifest, type PackageName, type SignedManifest } from '../../src/contract/packages.ts';
import type { SigningKey } from '../../src/depot/signing-key.ts';
import { makeDeb, makeRpm, makeTar, type Form } from './archives.ts';
import { layOut, type LinuxPackage } from './layout.ts';
import { layOutWindowsInstaller } from './windows-installer.ts';

export type Made = { readonly manifest: PackageManifest; readonly files: readonly string[] };

export async function makePackage(options: { root: string; out: string; name: LinuxPackage; version: string; forms: readonly Form[]; key: SigningKey; builtAt: string; /** With what first contacts put on Windows hosts; in the package of the server alone. */ windowsInstaller?: boolean }): Promise<Made> {
  const { root, out, name, version, forms, key } = options;
  const platform = `linux-${process.arch}` as PackageManifest['platform'];
  const directory = join(out, `.${name}-${version}`);
  await layOut(root, directory, name, version);
  if (options.windowsInstaller === true && name === 'tidemark-server') await layOutWindowsInstaller(root, join(directory, 'windows-installer'));
  const packed = { name, version, directory, out };
  const tar = makeTar(packed, platform);
  const { manifest, beside } = signArchive({ file: tar, name, version, platform, key, out, builtAt: options.builtAt });
  const others = [forms.includes('deb') ? makeDeb(packed) : undefined, forms.includes('rpm') ? makeRpm(packed) : undefined];
  rmSync(directory, { recursive: true });
  return { manifest, files: [tar, ...beside, ...others.filter((file) => file !== undefined)] };
}

/** Manifest and signature beside an archive or an installer: with them a distribution server offers it. */
export function signArchive(options: { file: string; name: PackageName; version: string; platform: PackageManifest['platform']; key: SigningKey; out: string; builtAt: string }): { manifest: PackageManifest; signed: SignedManifest; beside: string[] } {
  const { file, name, version, platform, key, out, builtAt } = options;
  const manifest: PackageManifest = { name, version, platform, sha256: createHash('sha256').update(readFileSync(file)).digest('hex'), bytes: statSync(file).size, builtAt };
  const signed = key.sign(manifest);
  const stem = join(out, packageFile(manifest));
  writeFileSync(`${stem}.json`, signed.manifest);
  writeFileSync(`${stem}.json.sig`, `${signed.signature}\n`);
  return { manifest, signed, beside: [`${stem}.json`, `${stem}.json.sig`] };
}
