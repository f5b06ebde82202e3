/** What a first contact puts on a Windows host: the installer service with a runtime of its own, 100 MB. It lies in the package of the server. */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { windowsNode, windowsParts } from './windows-parts.ts';

const koffi = ['package.json', 'LICENSE.txt', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js'];

export async function layOutWindowsInstaller(root: string, directory: string): Promise<void> {
  const parts = windowsParts(root);
  mkdirSync(directory, { recursive: true });
  await bundle(root, directory, ['installer']);
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
  copyFileSync(join(parts, windowsNode), join(directory, 'node.exe'));
  for (const file of koffi) cpSync(join(root, 'node_modules/koffi', file), join(directory, 'node_modules/koffi', file));
  for (const file of ['package.json', 'index.js', 'win32_x64']) cpSync(join(parts, 'node_modules/@koromix/koffi-win32-x64', file), join(directory, 'node_modules/@koromix/koffi-win32-x64', file), { recursive: true });
}
