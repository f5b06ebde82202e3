/**
 * Whether a program found on this host may be executed.
 *
 * Root executes only what nobody but root could have put there: the file, every directory above it and every symbolic
 * link on the way belong to root and are writable by root alone. A sticky /tmp is not enough: whoever owns the name in
 * it owns the program. Others may execute whatever their own rights allow.
 */
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { readText } from './process-facts.ts';

const writableByOthers = 0o022;
const linksFollowed = 40;

/** Why `path` is not executed; undefined when it may be. A path that cannot be looked at is not executed. */
export async function whyNotExecuted(path: string, uid = effectiveUser()): Promise<string | undefined> {
  if (uid !== 0) return undefined;
  try {
    return await walk(path, linksFollowed);
  } catch (error) {
    return `${path} cannot be looked at: ${(error as Error).message}`;
  }
}

async function walk(path: string, links: number): Promise<string | undefined> {
  if (links === 0) return `${path} is behind too many symbolic links`;
  // /proc/PID/root leads into what a container's own root put there.
  if (path.startsWith('/proc/')) return `${path} is seen through another process`;
  const names = path.split(sep).filter((name) => name !== '');
  for (let depth = 0; depth <= names.length; depth++) {
    const at = sep + names.slice(0, depth).join(sep);
    const facts = await lstat(at);
    if (facts.uid !== 0) return `${at} belongs to user ${facts.uid}`;
    if (facts.isSymbolicLink()) return await walk(join(await pointedTo(at), ...names.slice(depth)), links - 1);
    if ((facts.mode & writableByOthers) !== 0) return `${at} can be written by others than root`;
  }
  return undefined;
}

async function pointedTo(link: string): Promise<string> {
  const target = await readlink(link);
  return target.startsWith(sep) ? target : join(dirname(link), target);
}

function effectiveUser(): number {
  return Number(/^Uid:\s+\d+\s+(\d+)/m.exec(readText('/proc/self/status') ?? '')?.[1] ?? 0);
}
