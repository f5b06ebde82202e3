/**
 * `npm run package`: the packages that go on hosts, signed, as .tar.gz, .deb and .rpm.
 *
 *   npm run package -- [--out DIR] [--key FILE] [--version V] [--name NAME]… [--form tar|deb|rpm]…
 *
 * The signing key is the depot's: `--out` and `--key` inside the depot's directory make it serve what was built. Without
 * them a key beside the packages is made and used.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packageName } from '../src/contract/packages.ts';
import { openSigningKey } from '../src/depot/signing-key.ts';
import type { Form } from './package/archives.ts';
import { versionOf } from './package/layout.ts';
import { makePackage } from './package/make.ts';

const root = join(import.meta.dirname, '..');
const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { out: text, key: text, version: text, name: { ...text, multiple: true }, form: { ...text, multiple: true } } });
const out = resolve(values.out ?? join(root, 'dist'));
mkdirSync(out, { recursive: true });
const key = await openSigningKey(resolve(values.key ?? join(out, 'signing.key')));
const forms = (values.form ?? ['tar', 'deb', 'rpm']) as Form[];

for (const name of packageName.array().parse(values.name ?? packageName.options)) {
  const startedMs = performance.now();
  const { files } = await makePackage({ root, out, name, version: values.version ?? versionOf(root), forms, key, builtAt: new Date().toISOString(), windowsInstaller: true });
  for (const file of files) console.log(`${relative(process.cwd(), file)}  ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  console.error(`${name}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}
