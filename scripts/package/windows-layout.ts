/** Lays a package for Windows out as a directory: Node, the bundled programs, and the Windows halves of the packages with native code. */
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackageName } from '../../src/contract/packages.ts';
import { bundle, type Program } from './bundle.ts';
import type { LaidOut } from './layout.ts';
import { windowsNode, windowsParts } from './windows-parts.ts';

export type WindowsPackage = Exclude<PackageName, 'tidemark-server'>;

/** What each needs there. The transport is a repository and a gateway: no mount, no guardian of a database's lock, no command line. */
const packages: Readonly<Record<WindowsPackage, { readonly programs: readonly Program[]; readonly native: readonly (keyof typeof native)[] }>> = {
  'tidemark-transport': { programs: ['transport', 'mover', 'store-worker', 'lay-worker'], native: ['koffi', '@napi-rs/blake-hash'] },
  'tidemark-deployer': { programs: ['deployer'], native: ['koffi'] },
  'tidemark-depot': { programs: ['depot'], native: ['koffi'] },
};
export const windowsPackages = Object.keys(packages) as WindowsPackage[];

/** Of a package with native code: what is the same everywhere, and its half for Windows. */
const native = {
  koffi: { shared: ['package.json', 'LICENSE.txt', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js'], half: '@koromix/koffi-win32-x64', files: ['package.json', 'index.js', 'win32_x64'] },
  '@napi-rs/blake-hash': { shared: ['package.json', 'LICENSE', 'index.js'], half: '@napi-rs/blake-hash-win32-x64-msvc', files: ['package.json', 'blake.win32-x64-msvc.node'] },
} as const;

export async function layOutForWindows(root: string, directory: string, name: WindowsPackage, version: string): Promise<LaidOut> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'bin'), { recursive: true });
  const programs = await bundle(root, join(directory, 'lib/main'), packages[name].programs);
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify({ name, version, type: 'module', private: true })}\n`);
  const parts = windowsParts(root);
  for (const one of packages[name].native) {
    const { shared, half, files } = native[one];
    for (const file of shared) cpSync(join(root, 'node_modules', one, file), join(directory, 'node_modules', one, file), { recursive: true });
    for (const file of files) cpSync(join(parts, 'node_modules', half, file), join(directory, 'node_modules', half, file), { recursive: true });
  }
  copyFileSync(join(parts, windowsNode), join(directory, 'bin/node.exe'));
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  return { directory, programs };
}
