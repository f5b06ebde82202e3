/**
 * Names of files that last: when one of these resolves, the name is on disk.
 *
 *              Linux                                   Windows
 *   over       rename, then fsync of the folder        MoveFileExW, replacing, write-through
 *   new        link, then fsync of the folder          MoveFileExW, not replacing, write-through
 *   folder     fsync of the folder                     FlushFileBuffers of the folder
 *
 * On Windows a name cannot be taken from a file that somebody holds without having agreed to it: a virus scanner, a copy
 * program, a reader of ours on another host. They hold it briefly, so it is tried again for a while, and then given up.
 */
import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { flushFolder, moveThrough } from './native-windows.ts';

const isWindows = process.platform === 'win32';
const heldMs = 5_000;
const held: ReadonlySet<string> = new Set(['EPERM', 'EBUSY', 'EACCES']);

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Tries again while somebody holds the file: for `forMs` at most, and no longer between two attempts than a quarter of a second. */
export async function whileHeld<T>(work: () => Promise<T>, forMs = heldMs): Promise<T> {
  const endsMs = performance.now() + forMs;
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 250)) {
    try {
      return await work();
    } catch (error) {
      if (!held.has(codeOf(error)) || performance.now() + pauseMs > endsMs) throw error;
    }
    await wait(pauseMs);
  }
}

/** Puts the file in the place of `to`, whatever is there. */
export async function moveOver(from: string, to: string): Promise<'stored'> {
  if (isWindows) {
    await whileHeld(async () => await moveThrough(from, to, { replace: true }));
  } else {
    await rename(from, to);
    await syncFolder(dirname(to));
  }
  return 'stored';
}

/** Gives the file the name `to` if nobody has it. On Linux it may keep its old one besides. */
export async function nameNew(from: string, to: string): Promise<'stored' | 'exists'> {
  try {
    if (isWindows) {
      await whileHeld(async () => await moveThrough(from, to, { replace: false }));
    } else {
      await link(from, to);
      await syncFolder(dirname(to));
    }
    return 'stored';
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    // Whoever gave it that name may not have made it last yet.
    if (!isWindows) await syncFolder(dirname(to));
    return 'exists';
  }
}

export async function removeName(path: string): Promise<void> {
  if (isWindows) await whileHeld(async () => await unlink(path));
  else await unlink(path);
}

/** Makes what was made, moved and removed in a folder lasting. */
export async function syncFolder(path: string): Promise<void> {
  if (isWindows) return await whileHeld(async () => await Promise.resolve(flushWhereItIsTaken(path)));
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A file server may have no such call; what it was told to make is then as lasting as it makes it. */
function flushWhereItIsTaken(path: string): void {
  try {
    flushFolder(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOTSUP') throw error;
  }
}
