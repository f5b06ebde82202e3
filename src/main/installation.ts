/** Where this installation's programs are, and what it is called. Each address is written out: a bundle rewrites it (scripts/package/bundle.ts). */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Programs } from '../agent/task-context.ts';

export const version = (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** Of an installed package: the folder that the others are in too. */
export const packagesHere = fileURLToPath(new URL('../../..', import.meta.url));

/** What a first contact puts on a Windows host. */
export const windowsInstaller = new URL('../../windows-installer', import.meta.url).pathname;

export const programs: Programs = {
  node: [process.execPath],
  mover: fileURLToPath(new URL('mover.ts', import.meta.url)),
  mount: fileURLToPath(new URL('mount.ts', import.meta.url)),
  guardian: fileURLToPath(new URL('guardian.ts', import.meta.url)),
};
