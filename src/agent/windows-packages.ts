/** Packages of Windows Installer on this host: what is installed, and `msiexec`, which installs whole or not at all. */
import { join } from 'node:path';
import { runProgram, startAside } from '../base/child-process.ts';
import { systemClock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { installedProducts, systemDirectory } from '../base/windows-service-manager.ts';
import { upgradeCodes, type PackageName } from '../contract/packages.ts';
import { installationFailed } from './failures.ts';

type Named = { readonly name: PackageName; readonly version: string };

/** Of Windows Installer: done, and done when the machine has started again. */
const done: ReadonlySet<number> = new Set([0, 3010]);
const installMs = 300_000;
/** After its installer has ended well the program that asked for it is not there any more. */
const replacedMs = 30_000;

export async function installPackage(file: string, named: Named, system = systemDirectory()): Promise<void> {
  await msiexec(['/i', file], named, system);
}

/** Of the program that calls, by an `msiexec` that outlives it and ends it. So it fails, or this process is gone; it never waits for ever. */
export async function replaceThisProgram(file: string, { name, version }: Named, options: { system: string; installMs?: number; replacedMs?: number; start?: typeof startAside }): Promise<never> {
  const { ended } = await (options.start ?? startAside)(join(options.system, 'msiexec.exe'), ['/i', file, '/qn', '/norestart']);
  const code = await withDeadline('Windows Installer', options.installMs ?? installMs, async () => await ended);
  const isDone = code !== null && done.has(code);
  if (isDone) await systemClock.wait(options.replacedMs ?? replacedMs);
  throw installationFailed({ name, version, why: isDone ? 'it ended well, and the service was not replaced' : `error ${code}` });
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
