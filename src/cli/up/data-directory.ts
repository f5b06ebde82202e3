import { chmod, mkdir, open, readdir, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { dataDirectoryInUse, dataDirectoryUnusable } from '../failures.ts';

const lockName = 'up.lock';

/** Closing gives the directory back; one in which nothing was made is left empty. */
export type DataDirectory = { readonly path: string; close(): Promise<void> };

/**
 * Makes the data directory its owner's alone and takes it for this process; a second taker is refused while the first
 * lives, however it ends. A directory that holds somebody else's files is left as it is.
 */
export async function takeDataDirectory(path: string, processId: number, tryLock: (fd: number) => Promise<boolean>): Promise<DataDirectory> {
  for (let tries = 0; ; tries++) {
    const taken = await take(path, processId, tryLock);
    if (taken !== undefined) return taken;
    if (tries > 10) throw dataDirectoryInUse({ directory: path, pid: null });
  }
}

/** Undefined when the file was given back between being opened and being locked: then it locks nothing. */
async function take(path: string, processId: number, tryLock: (fd: number) => Promise<boolean>): Promise<DataDirectory | undefined> {
  await prepare(path).catch((error: unknown) => {
    throw (error as { code?: string }).code?.startsWith('cli.') === true ? error : dataDirectoryUnusable({ directory: path, why: whyNot(error as NodeJS.ErrnoException) }, error);
  });
  const lock = await open(join(path, lockName), 'a+', 0o600);
  if (!(await tryLock(lock.fd))) {
    const pid = Number.parseInt(await readFile(join(path, lockName), 'utf8'), 10);
    await lock.close();
    throw dataDirectoryInUse({ directory: path, pid: Number.isNaN(pid) ? null : pid });
  }
  const inode = async (): Promise<number | undefined> => (await stat(join(path, lockName)).catch(() => undefined))?.ino;
  if ((await lock.stat()).ino !== (await inode())) {
    await lock.close();
    return undefined;
  }
  const close = async (): Promise<void> => {
    const isEmpty = (await readdir(path).catch(() => [])).every((name) => name === lockName);
    if (isEmpty) await rm(join(path, lockName), { force: true });
    await lock.close();
  };
  try {
    await sign(lock, processId);
  } catch (error) {
    await close();
    throw dataDirectoryUnusable({ directory: path, why: whyNot(error as NodeJS.ErrnoException) }, error);
  }
  return { path, close };
}

function whyNot({ code, message }: NodeJS.ErrnoException): string {
  return code === 'EEXIST' || code === 'ENOTDIR' ? 'it, or what it is to be in, is a file' : message;
}

async function sign(lock: FileHandle, processId: number): Promise<void> {
  await lock.truncate(0);
  await lock.write(`${processId}\n`);
}

async function prepare(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const names = (await readdir(path)).filter((name) => name !== 'lost+found');
  // A recovery makes a server where none was up before.
  const hasServer = names.includes('server') && names.includes('master.key');
  if (names.length > 0 && !names.includes(lockName) && !hasServer) {
    throw dataDirectoryUnusable({ directory: path, why: `it holds files that are not Tidemark's, such as ${names[0]}` });
  }
  if (((await stat(path)).mode & 0o777) !== 0o700) await chmod(path, 0o700);
}
