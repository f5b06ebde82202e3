/** Packages of Windows Installer on this host: what is installed, and `msiexec`, which installs whole or not at all. */
import { join } from 'node:path';
import { runProgram } from '../base/child-process.ts';
import { installedProducts, systemDirectory } from '../base/windows-service-manager.ts';
import { upgradeCodes, type PackageName } from '../contract/packages.ts';
import { installationFailed } from './failures.ts';

type Named = { readonly name: PackageName; readonly version: string };

/** Of Windows Installer: done, and done when the machine has started again. */
const done: ReadonlySet<number> = new Set([0, 3010]);
const installMs = 300_000;

export async function installPackage(file: string, named: Named, system = systemDirectory()): Promise<void> {
  await msiexec(['/i', file], named, system);
}

/** Everything of it that is installed; data and settings stay. */
export async function uninstallPackage(named: Named): Promise<void> {
  for (const product of productsOf(named.name)) await msiexec(['/x', product], named, systemDirectory());
}

export function productsOf(name: PackageName): string[] {
  const code = upgradeCodes[name];
  return code === undefined ? [] : installedProducts(`{${code.toUpperCase()}}`);
}

async function msiexec(words: readonly string[], { name, version }: Named, system: string): Promise<void> {
  const { code, stderr } = await runProgram(join(system, 'msiexec.exe'), [...words, '/qn', '/norestart'], { deadlineMs: installMs });
  if (!done.has(code)) throw installationFailed({ name, version, why: `error ${code}${stderr.trim() === '' ? '' : `, ${stderr.trim().slice(-200)}`}` });
}
