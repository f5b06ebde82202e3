import { existsSync, mkdirSync, rmSync, statSync, readdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { requireProgram } from '../../src/base/child-process.ts';

export type Volume = AsyncDisposable & { readonly directory: string; readonly fileSystem: string };

const MINUTE_MS = 60_000;

/** A directory on an XFS file system of its own, in a sparse file; a plain directory where that cannot be mounted. */
export async function openVolume(workDirectory: string, name: string, gib: number, say: (line: string) => void): Promise<Volume> {
  const [image, directory] = [join(workDirectory, `${name}.xfs`), join(workDirectory, name)];
  mkdirSync(directory, { recursive: true });
  const plain = (why: string): Volume => {
    say(`no XFS volume (${why}): the members' files lie on the file system of ${workDirectory}`);
    return { directory, fileSystem: 'plain', [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }) };
  };
  if (process.getuid?.() !== 0) return plain('not root');
  try {
    await requireProgram('truncate', ['-s', `${gib}G`, image], { deadlineMs: MINUTE_MS });
    await requireProgram('mkfs.xfs', ['-q', '-f', image], { deadlineMs: MINUTE_MS });
    await requireProgram('mount', ['-o', 'loop', image, directory], { deadlineMs: MINUTE_MS });
  } catch (error) {
    rmSync(image, { force: true });
    return plain((error as Error).message);
  }
  return {
    directory,
    fileSystem: 'xfs',
    [Symbol.asyncDispose]: async () => {
      await requireProgram('umount', ['-l', directory], { deadlineMs: MINUTE_MS });
      rmSync(image, { force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Writes everything out and forgets the page cache, so that what follows reads from the disk. Answers whether it could. */
export async function forgetPageCache(): Promise<boolean> {
  await requireProgram('sync', [], { deadlineMs: 5 * MINUTE_MS });
  if (process.getuid?.() !== 0) return false;
  return (await requireProgram('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches && echo ok || true'], { deadlineMs: MINUTE_MS })).includes('ok');
}

/** Writes the files of a directory out and forgets what is cached of them alone: programs stay as warm as on a host that runs them. */
export async function forgetFiles(directory: string): Promise<void> {
  await requireProgram('sync', [], { deadlineMs: 5 * MINUTE_MS });
  await requireProgram('find', [directory, '-type', 'f', '-exec', 'dd', 'if={}', 'iflag=nocache', 'count=0', 'status=none', ';'], { deadlineMs: 5 * MINUTE_MS });
}

/** Bytes of all files below a directory, as their lengths say. */
export function bytesBelow(directory: string, wanted: (path: string) => boolean = () => true): number {
  if (!existsSync(directory)) return 0;
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter(wanted).reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

export async function freeGiB(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return (bavail * bsize) / 2 ** 30;
}
