/** Where this installation's programs are, and what it is called. Each address is written out: a bundle rewrites it (scripts/package/bundle.ts). */
import { readFileSync } from 'node:fs';
import type { Programs } from '../agent/task-context.ts';

export const version = (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** What a first contact puts on a Windows host. */
export const windowsInstaller = new URL('../../windows-installer', import.meta.url).pathname;

export const programs: Programs = {
  node: [process.execPath],
  mover: new URL('mover.ts', import.meta.url).pathname,
  mount: new URL('mount.ts', import.meta.url).pathname,
  guardian: new URL('guardian.ts', import.meta.url).pathname,
};
