/**
 * A directory as storage: each object is a file, written beside and moved into place.
 *
 *   put, create   write to .tmp/<random> · fsync the file · give it its name, new or over what is there (base/durable-names.ts)
 *   retained      then locked by the host's warden, before it is acknowledged; a kill in between leaves a file that the warden's next round locks
 *   new folders   made before, and the folder above them is fsynced, so that no name is lost in a power cut
 *
 * A kill leaves at most files in .tmp, which nothing reads. Each is locked by its writer (a lock ends with the process),
 * so the next holder that writes removes those that nobody holds and that are older than ten minutes. Who only reads changes
 * nothing here. On Windows names that are devices there are written as a share has them (share-names.ts).
 */
import { randomBytes } from 'node:crypto';
import { close, fsync, open, read, write } from 'node:fs';
import { mkdir, open as openHandle, readdir, readFile, realpath, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, toNamespacedPath } from 'node:path';
import { promisify } from 'node:util';
import { systemClock, type Clock } from '../../base/clock.ts';
import { moveOver, nameNew, removeName, syncFolder } from '../../base/durable-names.ts';
import { isFailure } from '../../base/failure.ts';
import { tryLockFile } from '../../base/native.ts';
import { ownPlatform } from '../../base/host-platform.ts';
import { placePathProblem } from '../../base/place-path.ts';
import { objectMissing, objectRetained, objectShort, pathRefused, placeMissing, storageFailed, storageFull } from '../failures.ts';
import { isKeptFromPut } from '../object-names.ts';
import { directoryLock, requireWarden } from './directory-lock.ts';
import { openFiles } from './open-files.ts';
import { filePathOf, segmentOf } from './share-names.ts';
import type { Immutable, Retention, Storage, StorageWriter, StoredObject } from './storage.ts';

const openFd = promisify(open);
const closeFd = promisify(close);
const fsyncFd = promisify(fsync);

const temporary = '.tmp';
const abandonedMs = 10 * 60_000;
const statsAtOnce = 64;
const isWindows = ownPlatform === 'windows';
/** The path of an object, or of a folder of objects, below the place; and an object's name as a file's. */
const shown = isWindows ? filePathOf : (name: string): string => name;
const named = isWindows ? segmentOf : (fileName: string): string => fileName;

export type DirectoryOptions = { readonly create?: boolean; readonly clock?: Clock; readonly immutable?: Immutable; /** The socket of the warden, where it is not the usual one. */ readonly warden?: string };

export async function openDirectory(path: string, options: DirectoryOptions = {}): Promise<Storage> {
  const clock = options.clock ?? systemClock;
  const problem = placePathProblem(path, ownPlatform);
  if (problem !== undefined) throw pathRefused({ path, why: problem });
  if (options.create === true) await mkdir(path, { recursive: true, mode: 0o700 });
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) throw placeMissing({ place: path });
  if (options.immutable === undefined) return directoryStorage(path, clock, undefined);
  const place = await realpath(path);
  if (options.create === true) await requireWarden(place, options.warden);
  return directoryStorage(place, clock, directoryLock(place, options.immutable, clock, options.warden));
}

function directoryStorage(place: string, clock: Clock, retention: Required<Retention> | undefined): Storage {
  const files = openFiles();
  const folders = new Set<string>();
  const at = (name: string): string => join(place, shown(name));
  const guarded = async <T>(object: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) === 'EPERM' && retention !== undefined) await refuseRetained(object, error);
      throw explained(error, place, object);
    }
  };
  const refuseRetained = async (object: string, cause: unknown): Promise<void> => {
    const [untilMs] = await retention!.until([object]);
    if (typeof untilMs === 'number') throw objectRetained({ object, place, until: new Date(untilMs).toISOString() }, cause);
  };
  const retain = async (name: string): Promise<void> => {
    if (retention !== undefined && isKeptFromPut(name)) await retention.retain([name]);
  };

  const makeFolder = async (folder: string): Promise<void> => {
    if (folders.has(folder)) return;
    const first = await mkdir(at(folder), { recursive: true, mode: 0o700 });
    if (first !== undefined) {
      for (let made = at(folder); ; made = dirname(made)) {
        await syncFolder(dirname(made));
        // Windows tells its own long form of the first one.
        if (toNamespacedPath(made) === toNamespacedPath(first)) break;
      }
    }
    folders.add(folder);
  };

  let cleaned: Promise<void> | undefined;
  const begin = async (name: string): Promise<Temporary> => {
    await (cleaned ??= removeAbandoned(join(place, temporary), clock.now()));
    await makeFolder(temporary);
    await makeFolder(dirname(name));
    const path = join(place, temporary, randomBytes(12).toString('hex'));
    const fd = await openFd(path, 'wx', 0o600);
    tryLockFile(fd);
    return { path, fd };
  };

  return {
    place,
    list: (prefix) => listed(place, prefix),
    stat: async (name) =>
      await guarded(name, async () => {
        const found = await stat(at(name)).catch(absent);
        return found === undefined ? undefined : { name, bytes: found.size, modifiedMs: found.mtimeMs };
      }),
    read: async (name, range) =>
      await guarded(name, async () => {
        if (range === undefined) return await readFile(at(name));
        return await files.use(at(name), async (fd) => await readExactly(fd, range, name, place));
      }),
    put: async (name, bytes, how) =>
      await guarded(name, async () => {
        const file = await begin(name);
        try {
          await writeAll(file.fd, bytes);
          await fsyncFd(file.fd);
          if (how === 'replace') files.forget(at(name));
          const stored = how === 'replace' ? await moveOver(file.path, at(name)) : await nameNew(file.path, at(name));
          // What is closed and has one name can be locked; one that was there already may have been left by a kill.
          await discard(file);
          await retain(name);
          return stored;
        } finally {
          await discard(file);
        }
      }),
    create: async (name) => {
      const commit = async (file: Temporary): Promise<void> => {
        await fsyncFd(file.fd);
        await moveOver(file.path, at(name));
      };
      return await guarded(name, async () => writing(await begin(name), commit, async () => await retain(name), async (work) => await guarded(name, work)));
    },
    delete: async (name) =>
      await guarded(name, async () => {
        files.forget(at(name));
        await removeName(at(name)).catch(absent);
      }),
    ...(retention !== undefined && { retention }),
    freeBytes: async () => {
      const { bavail, bsize } = await statfs(place);
      return bavail * bsize;
    },
  };
}

type Temporary = { path: string; fd: number };

function writing(file: Temporary, commit: (file: Temporary) => Promise<void>, retain: () => Promise<void>, guarded: <T>(work: () => Promise<T>) => Promise<T>): StorageWriter {
  return {
    append: async (bytes) => await guarded(async () => await writeAll(file.fd, bytes)),
    commit: async () =>
      await guarded(async () => {
        try {
          await commit(file);
        } finally {
          await discard(file);
        }
        // Closed by now: what somebody has open for writing is not locked.
        await retain();
      }),
    abort: async () => await discard(file),
  };
}

/** Closes the file and removes its temporary name, if it still has one. */
async function discard(file: Temporary): Promise<void> {
  if (file.fd < 0) return;
  const { fd } = file;
  file.fd = -1;
  await closeFd(fd);
  await unlink(file.path).catch(absent);
}

async function* listed(place: string, prefix: string): AsyncIterable<StoredObject> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const entries = (await readdir(join(place, shown(folder)), { withFileTypes: true }).catch(absent)) ?? [];
  const chosen = entries.filter((entry) => (folder !== '' || !entry.name.startsWith('.')) && (folder + named(entry.name)).startsWith(prefix));
  for (let at = 0; at < chosen.length; at += statsAtOnce) {
    const some = chosen.slice(at, at + statsAtOnce);
    const found = await Promise.all(some.map(async (entry) => (entry.isDirectory() ? undefined : await stat(join(place, shown(folder), entry.name)).catch(absent))));
    for (const [k, entry] of some.entries()) {
      const name = folder + named(entry.name);
      const file = found[k];
      if (entry.isDirectory()) yield* listed(place, `${name}/`);
      else if (file !== undefined) yield { name, bytes: file.size, modifiedMs: file.mtimeMs };
    }
  }
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) =>
      write(fd, bytes, done, bytes.length - done, null, (error, count) => (error === null ? resolve(count) : reject(error))),
    );
  }
}

async function readExactly(fd: number, range: { from: number; bytes: number }, object: string, place: string): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(range.bytes);
  for (let done = 0; done < range.bytes; ) {
    const count = await new Promise<number>((resolve, reject) =>
      read(fd, buffer, done, range.bytes - done, range.from + done, (error, got) => (error === null ? resolve(got) : reject(error))),
    );
    if (count === 0) throw objectShort({ object, place, wanted: range.bytes, got: done });
    done += count;
  }
  return buffer;
}

async function removeAbandoned(folder: string, nowMs: number): Promise<void> {
  for (const name of (await readdir(folder).catch(absent)) ?? []) {
    const path = join(folder, name);
    const found = await stat(path).catch(absent);
    if (found === undefined || nowMs - found.mtimeMs < abandonedMs) continue;
    const file = await openHandle(path, 'r').catch(absent);
    if (file === undefined) continue;
    try {
      if (tryLockFile(file.fd)) await unlink(path).catch(() => {});
    } finally {
      await file.close();
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function absent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
  throw error;
}

function explained(error: unknown, place: string, object: string): Error {
  if (isFailure(error)) return error;
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return objectMissing({ object, place }, error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return storageFull({ place, object }, error);
  return storageFailed({ place, object, why: error instanceof Error ? error.message : String(error) }, error);
}
