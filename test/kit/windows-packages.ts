/** Packages of this checkout for Windows hosts: laid out once, then made to installers of the versions that a test wants, signed for a distribution server. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signArchive } from '../../scripts/package/make.ts';
import { makeMsi, openCodeSigning } from '../../scripts/package/msi.ts';
import { layOutForWindows, type WindowsPackage } from '../../scripts/package/windows-layout.ts';
import type { SigningKey } from '../../src/depot/signing-key.ts';

export type WindowsPackages = {
  /** Of the authority that has signed them all. */
  readonly authority: string;
  /** Answers its path; manifest and signature lie beside it. `broken` does not start. */
  msi(name: WindowsPackage, version: string, key: SigningKey, more?: { broken?: boolean }): Promise<string>;
};

export function openWindowsPackages(place: string): WindowsPackages {
  const signing = openCodeSigning(place);
  const laid = new Map<WindowsPackage, Promise<string>>();
  const made = new Map<string, string>();
  return {
    authority: signing.authority,
    async msi(name, version, key, more = {}) {
      if (!laid.has(name)) laid.set(name, layOutForWindows(join(import.meta.dirname, '../..'), join(place, name), name, version).then(({ directory }) => directory));
      const directory = await laid.get(name)!;
      const before = made.get(`${name} ${version}`);
      if (before !== undefined) return before;
      writeFileSync(join(directory, 'package.json'), `${JSON.stringify({ name, version, type: 'module', private: true })}\n`);
      const program = join(directory, 'lib/main', `${name.replace('tidemark-', '')}.js`);
      const whole = readFileSync(program);
      if (more.broken === true) writeFileSync(program, "throw new Error('made not to start');\n");
      const file = makeMsi({ directory, name, version, out: place, signing });
      writeFileSync(program, whole);
      signArchive({ file, name, version, platform: 'windows-x64', key, out: place, builtAt: '2026-11-26T12:00:00Z' });
      made.set(`${name} ${version}`, file);
      return file;
    },
  };
}
