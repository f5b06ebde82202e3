/**
 * The files of a data directory that belong to a copy of it.
 *
 * Paths are relative to dbPath with '/' between names, whatever volume a directory is on: directoryPerDB,
 * directoryForIndexes, and a journal or database directory that is a symbolic link or a mount are all walked as they
 * appear. A file that vanishes while we look is not listed; mongod drops files at any time.
 */
import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { fileUnreadable, notADataDirectory } from './failures.ts';

export type SourceFile = {
  readonly path: string;
  /** Absolute. */
  readonly from: string;
  readonly bytes: number;
  readonly mode: number;
  readonly inode: string;
  /** The volume, as stat tells it. */
  readonly device: string;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** When these were read. */
  readonly seenMs: number;
};

export const CLONES = '.tidemark-clones';
export const TURTLE = 'WiredTiger.turtle';
export const BACKUP = 'WiredTiger.backup';

export type DataDirectory = {
  /** Resolved. */
  readonly dbPath: string;
  /** Where the journal really is; mostly `journal` in dbPath. */
  readonly journal: string;
  /** Paths in dbPath that are not data though they are there: mongod's log and what it was rotated to, pid file, key file. */
  readonly except: ReadonlySet<string>;
};

/** Every file to copy, the journal's last and its newest first, so that no older part ends before a newer one begins. */
export async function listFiles(data: DataDirectory, how: { underLock: boolean }): Promise<SourceFile[]> {
  const found: SourceFile[] = [];
  await walk(data.dbPath, '', { ...data, ...how }, found);
  return [...found.sort(byPath), ...(await listJournal(data))];
}

/** The journal alone, as it is now. */
export async function listJournal(data: DataDirectory): Promise<SourceFile[]> {
  const found: SourceFile[] = [];
  await walk(data.journal, 'journal/', { ...data, underLock: false }, found);
  return found.sort((a, b) => byPath(b, a));
}

function byPath(a: SourceFile, b: SourceFile): number {
  return a.path < b.path ? -1 : 1;
}

export function isJournal(path: string): boolean {
  return path.startsWith('journal/');
}

/** Refuses what has no turtle: no WiredTiger, or the path of another machine or container. */
export async function openDataDirectory(local: { dbPath: string; journalPath?: string }, except: ReadonlySet<string>): Promise<DataDirectory> {
  try {
    // Below /proc/PID/root a link would lead into this process's own tree; such paths come to us resolved.
    const dbPath = local.dbPath.startsWith('/proc/') ? local.dbPath : await realpath(local.dbPath);
    await stat(join(dbPath, TURTLE));
    return { dbPath, journal: local.journalPath ?? join(dbPath, 'journal'), except };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') throw fileUnreadable({ path: local.dbPath, why: code }, error);
    throw notADataDirectory({ path: local.dbPath, why: `${TURTLE} is not there` }, error);
  }
}

type Walk = { readonly except: ReadonlySet<string>; readonly underLock: boolean };

async function walk(directory: string, prefix: string, options: Walk, found: SourceFile[]): Promise<void> {
  const entries = await unlessGone(directory, async () => await readdir(directory, { withFileTypes: true }));
  const kept = (entries ?? []).filter((entry) => belongs(prefix + entry.name, options));
  for (let at = 0; at < kept.length; at += 64) {
    await Promise.all(kept.slice(at, at + 64).map(async (entry) => await look(entry, directory, prefix, options, found)));
  }
}

async function look(entry: Dirent, directory: string, prefix: string, options: Walk, found: SourceFile[]): Promise<void> {
  const from = join(directory, entry.name);
  const path = prefix + entry.name;
  const seenMs = systemClock.now();
  const stats = await unlessGone(from, async () => await stat(from, { bigint: true }));
  if (stats === undefined) return;
  if (stats.isDirectory()) return await walk(from, `${path}/`, options, found);
  if (stats.isFile()) found.push(fileOf(path, from, stats, seenMs));
}

function fileOf(path: string, from: string, stats: BigIntStats, seenMs: number): SourceFile {
  return {
    path,
    from,
    bytes: Number(stats.size),
    mode: Number(stats.mode & 0o7777n),
    inode: stats.ino.toString(),
    device: stats.dev.toString(),
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    seenMs,
  };
}

const neverInDbPath = new Set(['journal', 'mongod.lock', 'diagnostic.data', '_tmp', `${TURTLE}.set`]);
/** A mount inside dbPath may have them too. */
const neverAnywhere = new Set([CLONES, 'lost+found', '.snapshot']);

/**
 * Whether a name in dbPath is part of a copy. WiredTiger.backup exists while somebody holds a backup cursor, and
 * WiredTiger then opens the files at that cursor's checkpoint: it belongs to a copy under our lock, which is such a
 * cursor, and to no other copy.
 */
export function belongs(path: string, how: Walk): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (neverInDbPath.has(path) || neverAnywhere.has(name) || name.endsWith('.sock')) return false;
  // A restore into a mount point builds and keeps aside inside it.
  if (name === '.tidemark-building' || name.startsWith('tidemark.before-')) return false;
  if (/^WiredTiger(Preplog|Tmplog)\./.test(name)) return false;
  if (path === BACKUP) return how.underLock;
  for (const except of how.except) if (path === except || path.startsWith(`${except}.`)) return false;
  return true;
}

async function unlessGone<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES' || code === 'EPERM') throw fileUnreadable({ path, why: code }, error);
    throw error;
  }
}
