/**
 * `npm run package`: the packages that go on hosts, signed, as .tar.gz, .deb and .rpm, and for Windows as .msi.
 *
 *   npm run package -- [--out DIR] [--key FILE] [--version V] [--name NAME]… [--form tar|deb|rpm|msi]… [--msi-certificate PEM --msi-key PEM]
 *
 * The signing key is the depot's: `--out` and `--key` inside the depot's directory make it serve what was built. Without
 * them a key beside the packages is made and used. The .msi is signed with the given certificate, or with that of an authority made
 * beside the packages, `code-signing-ca.pem`.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packageName } from '../src/contract/packages.ts';
import { openSigningKey } from '../src/depot/signing-key.ts';
import type { Form } from './package/archives.ts';
import { linuxPackages, versionOf } from './package/layout.ts';
import { makePackage, signArchive } from './package/make.ts';
import { makeMsi, openCodeSigning, whyNoMsi } from './package/msi.ts';
import { layOutForWindows, windowsPackages, type WindowsPackage } from './package/windows-layout.ts';

const root = join(import.meta.dirname, '..');
const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { out: text, key: text, version: text, name: { ...text, multiple: true }, form: { ...text, multiple: true }, 'msi-certificate': text, 'msi-key': text } });
const out = resolve(values.out ?? join(root, 'dist'));
mkdirSync(out, { recursive: true });
const key = await openSigningKey(resolve(values.key ?? join(out, 'signing.key')));
const forms = values.form ?? ['tar', 'deb', 'rpm', 'msi'];
const version = values.version ?? versionOf(root);
const names = packageName.array().parse(values.name ?? packageName.options);
const builtAt = new Date().toISOString();
const show = (file: string): void => console.log(`${relative(process.cwd(), file)}  ${(statSync(file).size / 1e6).toFixed(1)} MB`);

for (const name of forms.some((form) => form !== 'msi') ? linuxPackages.filter((one) => names.includes(one)) : []) {
  const startedMs = performance.now();
  const { files } = await makePackage({ root, out, name, version, forms: forms as Form[], key, builtAt, windowsInstaller: true });
  for (const file of files) show(file);
  console.error(`${name}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

const forWindows = forms.includes('msi') ? windowsPackages.filter((name) => names.includes(name)) : [];
if (forWindows.length > 0) {
  const why = whyNoMsi();
  if (why !== undefined) console.error(`no installers for Windows: ${why}`);
  else for (const name of forWindows) await makeInstaller(name);
}

async function makeInstaller(name: WindowsPackage): Promise<void> {
  const { 'msi-certificate': certificate, 'msi-key': keyFile } = values;
  const signing = certificate === undefined || keyFile === undefined ? openCodeSigning(out) : { certificate: resolve(certificate), key: resolve(keyFile) };
  const directory = join(out, `.${name}-${version}-windows`);
  await layOutForWindows(root, directory, name, version);
  const file = makeMsi({ directory, name, version, out, signing });
  for (const made of [file, ...signArchive({ file, name, version, platform: 'windows-x64', key, out, builtAt }).beside]) show(made);
  rmSync(directory, { recursive: true });
}
