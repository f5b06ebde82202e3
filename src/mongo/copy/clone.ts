/**
 * The way without any cost to the member: every file is cloned (FICLONE) where it lies, in less than a second, and the
 * clones are read at leisure.
 *
 * Promise: a clone that is handed out is complete for one checkpoint C, and its journal is a state that a crash could have
 * left at one moment.
 *
 * Order, and why:
 *   1. settle      C is the turtle's, no checkpoint is half done
 *   2. record      so that a kill leaves no clone that nobody knows of
 *   3. data        in any order; blocks of C stay where they are as long as the turtle does
 *   4. journal     listed again now: a log begun meanwhile belongs to it. Newest first: no part ends before a later one begins
 *   5. turtle      the live one and the cloned one against step 1, with no checkpoint running (turtle.ts says why);
 *                  else drop everything, and again at once
 *
 * Only if the turtle will not stay still for any try: fsync, lock, clone, unlock (secondaries only).
 *
 * What the checkpoint does not use is not stored (../wiredtiger/free-space.ts), if the clone is kept: the next copy must know
 * what was left out. mongod writes into free space before the checkpoint that uses it, so a block may be in the older clone
 * already, left out there, and in use now without a change between the clones. Such ranges count as changed.
 */
import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { atOnce } from '../../base/at-once.ts';
import type { ClusterTime, Optime } from '../../base/cluster-time.ts';
import { describe, isFailure } from '../../base/failure.ts';
import { sortableId } from '../../base/ids.ts';
import type { ClonePlaces } from './clone-places.ts';
import { noFreeSpace, outside, readFreeSpace, type FreeSpace } from '../wiredtiger/free-space.ts';
import { changedSince, type ByteRange } from './extents.ts';
import { fileUnreadable, guardianGone, lockLost, lockRefused } from './failures.ts';
import { isJournal, listFiles, listJournal, TURTLE, type SourceFile } from './files.ts';
import { withLock } from './held-lock.ts';
import { dropClone, findKept, writeRecord, type CloneRecord } from './kept-clones.ts';
import { plainFsync, whileStill, type LockLimits } from './lock.ts';
import { isSame, stampOf, type Known } from './remembered.ts';
import { isStill, settle, type Settled } from './turtle.ts';
import type { Errand, FileToRead, Missed, Taken } from './way.ts';

export type CloneOptions = {
  readonly places: ClonePlaces;
  /** The clone that holds what was last stored, if it was kept. */
  readonly older: string | null;
  /** This one will be kept. */
  readonly keep: boolean;
  readonly tries: number;
  readonly lock: LockLimits;
};

type Times = { readonly checkpoint: ClusterTime; readonly top: Optime | null; readonly topAtLeast: Optime; readonly lockedMs: number };
type Cloned = { readonly source: SourceFile; readonly from: string; readonly bytes: number };
type Clone = { readonly record: Omit<CloneRecord, 'form' | 'maker'>; readonly files: readonly Cloned[] };

const filesAtOnce = 4;

export async function takeClone(errand: Errand, options: CloneOptions): Promise<Taken | Missed> {
  const made = await makeClone(errand, options);
  if ('kind' in made) return made;
  const { clone, times } = made;
  try {
    const { files, stamps } = await compare(errand, clone, options);
    await errand.ledger.storeClones(files, stamps, errand.signal);
    await writeRecord(errand.workDirectory, { ...clone.record, state: 'kept' });
    return { kind: 'taken', ...times, files: files.map(({ path, bytes, mode }) => ({ path, bytes, mode })), clone: clone.record.id };
  } catch (error) {
    await dropClone(errand.workDirectory, clone.record);
    throw error;
  }
}

async function makeClone(errand: Errand, options: CloneOptions): Promise<{ clone: Clone; times: Times } | Missed> {
  try {
    for (let tried = 1; tried <= options.tries; tried++) {
      errand.signal.throwIfAborted();
      const at = await settle(errand.client, errand.data.dbPath, errand.member.name, errand);
      if (at === undefined) break;
      const startedAt = errand.clock.monotonicMs();
      const clone = await cloneAll(errand, options.places, false);
      if (await isComplete(at, errand, clone)) {
        errand.log.info('cloned', { files: clone.files.length, ms: Math.round(errand.clock.monotonicMs() - startedAt), tried });
        return { clone, times: { checkpoint: at.checkpoint, top: null, topAtLeast: at.durable, lockedMs: 0 } };
      }
      await dropClone(errand.workDirectory, clone.record);
      errand.log.info('a checkpoint ended while the files were cloned', { tried });
    }
    return await cloneUnderLock(errand, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return { kind: 'missed', why: 'the volume of the data ran full while its files were cloned' };
    throw error;
  }
}

async function cloneUnderLock(errand: Errand, options: CloneOptions): Promise<{ clone: Clone; times: Times } | Missed> {
  if (errand.member.isPrimary) return { kind: 'missed', why: `a checkpoint ended during each of ${options.tries} clones, and a primary is not locked` };
  try {
    await plainFsync(errand);
    const { value, lockedMs } = await withLock({ ...errand, ...options.lock }, async (signal) => {
      const drop = async (clone: Clone): Promise<void> => await dropClone(errand.workDirectory, clone.record);
      return await whileStill({ ...errand, signal }, async () => await cloneAll(errand, options.places, true), drop);
    });
    errand.notes.push('the turtle would not stay still: cloned under a lock');
    return { clone: value.value, times: { ...value.times, lockedMs } };
  } catch (error) {
    if (isFailure(error, lockRefused) || isFailure(error, lockLost) || isFailure(error, guardianGone)) return { kind: 'missed', why: describe(error) };
    throw error;
  }
}

async function cloneAll(errand: Errand, places: ClonePlaces, underLock: boolean): Promise<Clone> {
  const { data, workDirectory, member, clock, signal } = errand;
  const id = sortableId(clock);
  const parents = [places.main, ...[...places.byDevice.values()].filter((place) => place !== null && place !== places.main)] as string[];
  const record = { id, member: member.name, dbPath: data.dbPath, directories: parents.map((parent) => join(parent, id)), state: 'making' as const };
  await writeRecord(workDirectory, record);
  try {
    const made = new Set<string>();
    const sources = (await listFiles(data, { underLock })).filter((file) => !isJournal(file.path));
    const files = await cloneFiles(sources, places, id, made, signal);
    for (const log of await listJournal(data)) files.push(...(await cloneFiles([log], places, id, made, signal)));
    return { record, files };
  } catch (error) {
    await dropClone(workDirectory, record);
    throw error;
  }
}

async function cloneFiles(sources: readonly SourceFile[], places: ClonePlaces, id: string, made: Set<string>, signal: AbortSignal): Promise<Cloned[]> {
  const cloned = await atOnce(filesAtOnce, sources, async (source): Promise<Cloned[]> => {
    signal.throwIfAborted();
    const place = places.byDevice.get(source.device) ?? null;
    const to = join(place ?? places.main, id, source.path);
    if (!made.has(dirname(to))) {
      await mkdir(dirname(to), { recursive: true, mode: 0o700 });
      made.add(dirname(to));
    }
    const bytes = await cloneFile(source.from, to, place !== null);
    return bytes === undefined ? [] : [{ source, from: to, bytes }];
  });
  return cloned.flat();
}

/** Answers its size; undefined when the file is gone, which mongod is free to do with what it dropped. */
async function cloneFile(from: string, to: string, byReference: boolean): Promise<number | undefined> {
  try {
    await copyFile(from, to, byReference ? constants.COPYFILE_FICLONE_FORCE : 0);
    return (await stat(to)).size;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES' || code === 'EPERM') throw fileUnreadable({ path: from, why: code }, error);
    throw error;
  }
}

async function isComplete(at: Settled, errand: Errand, clone: Clone): Promise<boolean> {
  const cloned = clone.files.find((file) => file.source.path === TURTLE);
  if (cloned === undefined || !(await readFile(cloned.from)).equals(at.turtle.bytes)) return false;
  return await isStill(at, errand.client, errand.data.dbPath, errand);
}

type Against = { readonly record: CloneRecord; readonly space: FreeSpace };

/** What must be read of each file, against the older clone where there is one, else against what is known of the source. */
async function compare(errand: Errand, clone: Clone, options: CloneOptions): Promise<{ files: FileToRead[]; stamps: Known }> {
  const older = options.older === null ? undefined : await lookAtOlder(errand, options.older);
  // A clone that is lost cannot say what was left out when it was stored.
  if (options.older !== null && older === undefined) errand.ledger.known.clear();
  const places = new Map(clone.files.map((file) => [file.source.path, file.from]));
  const space = options.keep ? await readFreeSpace((path) => places.get(path)) : noFreeSpace;
  const stamps: Known = new Map();
  const files: FileToRead[] = [];
  for (const { source, from, bytes } of clone.files) {
    const { path, mode } = source;
    stamps.set(path, { ...stampOf(source), bytes });
    const free = async (): Promise<readonly ByteRange[]> => await space.rangesOf(path);
    files.push({ path, from, bytes, mode, free, ...(await difference(errand, { source, from, bytes }, older, space)) });
  }
  return { files, stamps };
}

async function lookAtOlder(errand: Errand, id: string): Promise<Against | undefined> {
  const record = await findKept(errand.workDirectory, id, errand.data.dbPath);
  return record === undefined ? undefined : { record, space: await readFreeSpace((path) => placeIn(record, path)) };
}

function placeIn(record: CloneRecord, path: string): string | undefined {
  return record.directories.map((directory) => join(directory, path)).find((place) => existsSync(place));
}

async function difference(errand: Errand, file: Cloned, older: Against | undefined, space: FreeSpace): Promise<Pick<FileToRead, 'changed' | 'unchanged'>> {
  const { source, from, bytes } = file;
  const known = errand.ledger.known.get(source.path);
  const isUntouched = bytes === source.bytes && isSame(source, known);
  const there = older === undefined ? undefined : placeIn(older.record, source.path);
  if (older === undefined || there === undefined) return isUntouched ? { unchanged: true } : {};
  if (known === undefined || known.inode !== source.inode) return {};
  const size = (await stat(there)).size;
  if (size !== known.bytes) return {};
  const written = isUntouched ? [] : changedSince({ path: there, bytes: size }, { path: from, bytes });
  if (written === undefined) return {};
  const changed = [...written, ...(await leftOut(source.path, older.space, space))];
  return changed.length === 0 && size === bytes ? { unchanged: true } : { changed };
}

/** What was free in the older copy and is not any more. */
async function leftOut(path: string, older: FreeSpace, newer: FreeSpace): Promise<ByteRange[]> {
  if (older.checkpointOf(path) === newer.checkpointOf(path)) return [];
  return outside(await older.rangesOf(path), await newer.rangesOf(path));
}
