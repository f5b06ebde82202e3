/**
 * Markers of locks: whose lock it is that a mongod is under.
 *
 * Written and synced before the lock is asked for, again when it is held, and removed after it was undone. A lock outlives
 * the connection that took it, so after a kill the marker is all that tells ours from somebody else's. mongod holds a lock
 * with one internal operation (`fsyncLockWorker`), whose number is the lock's identity as long as that mongod runs.
 */
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Document } from 'mongodb';
import * as z from 'zod';
import { startTimeOf } from '../mongod-marker.ts';
import { writeDurably } from './kept-clones.ts';

const marker = z.object({
  form: z.literal(1),
  /** host:port as the set knows the member. */
  member: z.string(),
  /** The process id that mongod itself reports. */
  mongod: z.number(),
  guardian: z.object({ pid: z.number(), startTime: z.string() }),
  /** `asking`: the command may or may not have come through. */
  stage: z.enum(['asking', 'held']),
  /** The last operation of this mongod before the command was sent: ours has a later number. */
  after: z.number(),
  /** The number of the lock's operation, once held. */
  worker: z.number().nullable(),
});

export type LockMarker = z.infer<typeof marker>;

export const markerFolder = (workDirectory: string): string => join(workDirectory, 'locks');

export async function writeMarker(path: string, about: Omit<LockMarker, 'form' | 'guardian'>): Promise<void> {
  await writeDurably(path, JSON.stringify({ form: 1, ...about, guardian: { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' } }));
}

export async function listMarkers(workDirectory: string): Promise<{ path: string; marker: LockMarker }[]> {
  const folder = markerFolder(workDirectory);
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'));
  const found = await Promise.all(names.map(async (name) => ({ path: join(folder, name), marker: await readMarker(join(folder, name)) })));
  return found.filter((one): one is { path: string; marker: LockMarker } => one.marker !== undefined);
}

export async function readMarker(path: string): Promise<LockMarker | undefined> {
  try {
    return marker.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

export async function removeMarker(path: string): Promise<void> {
  await rm(path, { force: true });
}

export function isGuarded({ guardian }: LockMarker): boolean {
  return guardian.startTime !== '' && startTimeOf(guardian.pid) === guardian.startTime;
}

export type LockState = {
  readonly locked: boolean;
  readonly worker: number | null;
  readonly newestOperation: number;
  /** Comments of lock commands that have not come to an end. */
  readonly asked: readonly string[];
};

/** What an answer of currentOp with $all says about locks. */
export function lockStateOf(currentOp: Document): LockState {
  const operations = (currentOp['inprog'] ?? []) as Document[];
  const numbers = operations.map((operation) => Number(operation['opid'])).filter((number) => Number.isFinite(number));
  const worker = operations.find((operation) => operation['desc'] === 'fsyncLockWorker');
  return {
    locked: currentOp['fsyncLock'] === true,
    worker: worker === undefined ? null : Number(worker['opid']),
    newestOperation: Math.max(0, ...numbers),
    asked: operations.flatMap(({ command }) => ((command as Document | undefined)?.['lock'] === true ? [String((command as Document)['comment'] ?? '')] : [])),
  };
}

/**
 * Whether the lock that a mongod is under is the marked one. While `asking`, a lock that began after we asked is taken for
 * ours: nobody else's was there a moment before.
 */
export function isOurs(marked: LockMarker, now: LockState, mongodPid: number): boolean {
  if (!now.locked || marked.mongod !== mongodPid) return false;
  if (marked.stage === 'held') return marked.worker === null || now.worker === null || marked.worker === now.worker;
  return now.worker === null || now.worker > marked.after;
}
