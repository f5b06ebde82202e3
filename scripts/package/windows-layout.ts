/** Lays the transport package for Windows out as a directory: Node, the bundled programs, and the Windows halves of the packages with native code. */
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, type Program } from './bundle.ts';
import type { LaidOut } from './layout.ts';
import { windowsNode, windowsParts } from './windows-parts.ts';

/** What a repository and a gateway need: no mount, no guardian of a database's lock, no command line. */
export const onWindows: readonly Program[] = ['transport', 'mover', 'store-worker', 'lay-worker'];

const shared: Readonly<Record<string, readonly string[]>> = {
  koffi: ['package.json', 'LICENSE.txt', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js'],
  '@napi-rs/blake-hash': ['package.json', 'LICENSE', 'index.js'],
};
const native: Readonly<Record<string, readonly string[]>> = {
  '@koromix/koffi-win32-x64': ['package.json', 'index.js', 'win32_x64'],
  '@napi-rs/blake-hash-win32-x64-msvc': ['package.json', 'blake.win32-x64-msvc.node'],
};

export async function layOutForWindows(root: string, directory: string, version: string): Promise<LaidOut> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'bin'), { recursive: true });
  const programs = await bundle(root, join(directory, 'lib/main'), onWindows);
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify({ name: 'tidemark-transport', version, type: 'module', private: true })}\n`);
  const parts = windowsParts(root);
  for (const [from, files] of [[root, shared], [parts, native]] as const) {
    for (const [name, chosen] of Object.entries(files)) for (const file of chosen) cpSync(join(from, 'node_modules', name, file), join(directory, 'node_modules', name, file), { recursive: true });
  }
  copyFileSync(join(parts, windowsNode), join(directory, 'bin/node.exe'));
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  return { directory, programs };
}
