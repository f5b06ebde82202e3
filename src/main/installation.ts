/** Where this installation's programs are, and what it is called. */
import { readFileSync } from 'node:fs';
import type { Programs } from '../agent/task-context.ts';

const beside = (name: string): string => new URL(name, import.meta.url).pathname;

export const version = (JSON.parse(readFileSync(beside('../../package.json'), 'utf8')) as { version: string }).version;

export const programs: Programs = { node: [process.execPath], mover: beside('mover.ts'), mount: beside('mount.ts'), guardian: beside('guardian.ts') };
