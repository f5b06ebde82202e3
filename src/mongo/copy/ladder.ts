/**
 * The ladder: takes a physical copy of a member's data directory, in the way that disturbs it least.
 *
 *   clone   reflinks; no cost to the member                    clone.ts
 *   window  live files between two checkpoints                 window.ts
 *   lock    pre-copy, then a bounded lock; secondaries only    lock.ts
 *
 * The first way that is possible is tried; one that was possible and missed (a checkpoint ended, a lock was refused) gives
 * way to the next, and says why in the notes. What was stored for a missed attempt stays stored and is not read again.
 * Whatever the end, the member is not locked by us and no clone is left but those that a record leads to.
 */
import type { MongoClient } from 'mongodb';
import { systemClock, type Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MongoAddress } from '../connect.ts';
import { findPlaces, mib, type FoundPlaces } from './clone-places.ts';
import { takeClone } from './clone.ts';
import { copyNotPossible } from './failures.ts';
import { listFiles, openDataDirectory, type DataDirectory, type SourceFile } from './files.ts';
import { dropClone, dropOthers, listRecords } from './kept-clones.ts';
import { takeLocked, type LockLimits } from './lock.ts';
import { missingLockRights } from './lock-rights.ts';
import { lookAtMember, type CopiedMember } from './member.ts';
import { bootId, recall, remember, type Remembered } from './remembered.ts';
import { takeWindow } from './window.ts';
import { openLedger, type CopyMethod, type Errand, type Missed, type StoreFiles, type Taken } from './way.ts';

export type { CopiedFile, CopyMethod, FileToRead, StoreFiles } from './way.ts';
export type { Remembered } from './remembered.ts';

export type CopyOptions = {
  /** Talks to this member alone. */
  readonly client: MongoClient;
  /** The same member, for the guardian's own connection. */
  readonly address: MongoAddress;
  /** A LocalMongod, or as much of it. */
  readonly local: { readonly dbPath: string; readonly journalPath?: string };
  /** Outlives runs: records of clones, markers of locks, clones if it is on the data's file system. */
  readonly workDirectory: string;
  /** null: the best one. */
  readonly method: CopyMethod | null;
  /** The longest time between two checkpoints to count on; the member's own interval if that is shorter. */
  readonly windowMs?: number;
  /** A lock is given back after this, whatever is left to read. */
  readonly lockMs?: number;
  /** `remembered` of the copy whose files are the base of this one. */
  readonly previous?: unknown;
  /** Keep the clone for the next copy: it then reads only changed blocks, and the clone's old blocks stay on disk until then. */
  readonly keepClone: boolean;
  /** The command that starts main/guardian.ts, with its first arguments. */
  readonly guardianProgram: readonly string[];
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
};

export type Copy = Omit<Taken, 'kind' | 'clone'> & {
  readonly method: CopyMethod;
  readonly mongoVersion: string;
  readonly fcv: string;
  /** host:port of the member. */
  readonly source: string;
  readonly notes: readonly string[];
  /** For `previous` of the next copy, once this one's point exists. JSON. */
  readonly remembered: Remembered;
  /** To be called when the point exists: clones of earlier copies go, and this one's too unless it is to be kept. */
  published(): Promise<void>;
  /** To be called when there will be no point: this copy's clone goes, that of the last point stays. */
  forget(): Promise<void>;
};

export type Way = { readonly method: CopyMethod; readonly possible: boolean; readonly why: string };
export type Probe = { readonly ways: readonly Way[]; readonly best: CopyMethod | null };

const WINDOW_MS = 60_000;
const LOCK_MS = 120_000;
const ACQUIRE_MS = 30_000;
const CLONE_TRIES = 5;

/** Which ways are possible now, each with its reason. Changes nothing that stays. */
export async function probeCopy(options: Pick<CopyOptions, 'client' | 'local' | 'workDirectory' | 'windowMs'>): Promise<Probe> {
  const member = await lookAtMember(options.client);
  const data = await openDataDirectory(options.local, member.except);
  const files = await listFiles(data, { underLock: false });
  const places = await findPlaces(data, files, options.workDirectory);
  const ways = [cloneWay(places), windowWay(files, windowOf(member, options.windowMs)), await lockWay(options.client, member)];
  return { ways, best: ways.find((way) => way.possible)?.method ?? null };
}

/**
 * Takes a copy. `store` gets the files to read, possibly several times: 'pre' passes only save time later; the last 'final'
 * pass is the copy, and only if this resolves. `files` of the answer are those of the point.
 */
export async function takeCopy(options: CopyOptions, store: StoreFiles): Promise<Copy> {
  const { client, workDirectory, log, signal } = options;
  const clock = options.clock ?? systemClock;
  const member = await lookAtMember(client);
  const data = await openDataDirectory(options.local, member.except);
  const at = { member: member.name, dbPath: data.dbPath, boot: await bootId() };
  const previous = recall(options.previous, at);
  await dropOthers(workDirectory, data.dbPath, [previous?.clone ?? null]);
  const ledger = openLedger(new Map(previous?.known), store, clock);
  const errand: Errand = { client, member, data, workDirectory, clock, log, signal, notes: [], ledger };
  const { method, taken } = await climb(errand, options, previous?.clone ?? null);
  const kept = keepsClone(options, data) ? taken.clone : null;
  const { kind: _, clone, ...facts } = taken;
  return {
    ...facts,
    method,
    mongoVersion: member.mongoVersion,
    fcv: member.fcv,
    source: member.name,
    notes: errand.notes,
    remembered: remember(at, kept, ledger.known),
    published: async () => void (await dropOthers(workDirectory, data.dbPath, [kept])),
    forget: async () => {
      for (const record of await listRecords(workDirectory)) if (record.id === clone) await dropClone(workDirectory, record);
    },
  };
}

/** Below /proc/PID/root a clone would be out of reach once that process is gone. */
function keepsClone(options: CopyOptions, data: DataDirectory): boolean {
  return options.keepClone && !data.dbPath.startsWith('/proc/');
}

async function climb(errand: Errand, options: CopyOptions, older: string | null): Promise<{ method: CopyMethod; taken: Taken }> {
  const reasons: string[] = [];
  const ways: readonly CopyMethod[] = options.method === null ? ['clone', 'window', 'lock'] : [options.method];
  for (const method of ways) {
    errand.signal.throwIfAborted();
    const outcome = await take(method, errand, options, older);
    if (outcome.kind === 'taken') {
      errand.notes.push(...reasons);
      return { method, taken: outcome };
    }
    reasons.push(`${method}: ${outcome.why}`);
    errand.log.info('a way of copying was passed by', { method, why: outcome.why });
  }
  throw copyNotPossible({ member: errand.member.name, reasons });
}

async function take(method: CopyMethod, errand: Errand, options: CopyOptions, older: string | null): Promise<Taken | Missed> {
  const lock: LockLimits = { program: options.guardianProgram, address: options.address, acquireMs: ACQUIRE_MS, holdMs: options.lockMs ?? LOCK_MS };
  switch (method) {
    case 'clone': {
      const found = await findPlaces(errand.data, await listFiles(errand.data, { underLock: false }), errand.workDirectory);
      if (found.kind === 'none') return { kind: 'missed', why: found.why };
      return await takeClone(errand, { places: found.places, older, keep: keepsClone(options, errand.data), tries: CLONE_TRIES, lock });
    }
    case 'window':
      return await takeWindow(errand, windowOf(errand.member, options.windowMs));
    case 'lock': {
      const { possible, why } = await lockWay(errand.client, errand.member);
      return possible ? await takeLocked(errand, lock) : { kind: 'missed', why };
    }
  }
}

/** A member that makes no checkpoints by itself, or hardly any, gives as long a window as one wants. */
function windowOf(member: CopiedMember, wantedMs = WINDOW_MS): number {
  const ownMs = member.checkpointSeconds === 0 ? Number.POSITIVE_INFINITY : member.checkpointSeconds * 1000;
  return ownMs > 2 * WINDOW_MS ? ownMs : Math.min(wantedMs, ownMs);
}

function cloneWay(places: FoundPlaces): Way {
  if (places.kind === 'none') return { method: 'clone', possible: false, why: places.why };
  const copied = places.places.copiedBytes === 0 ? '' : `; ${mib(places.places.copiedBytes)} MiB on other volumes are copied`;
  return { method: 'clone', possible: true, why: `files are cloned into ${places.places.main}${copied}` };
}

function windowWay(files: readonly SourceFile[], windowMs: number): Way {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const needs = Math.ceil(bytes / (64 << 20));
  const fits = needs * 1000 <= windowMs * 0.5;
  const says = fits ? `${mib(bytes)} MiB fit` : `${mib(bytes)} MiB are read beforehand; it depends on how much changes`;
  return { method: 'window', possible: true, why: `${says} between two checkpoints${Number.isFinite(windowMs) ? ` (${windowMs / 1000} s)` : ', which are made when we ask'}` };
}

async function lockWay(client: MongoClient, member: CopiedMember): Promise<Way> {
  if (member.isPrimary) return { method: 'lock', possible: false, why: 'a primary is not locked' };
  const missing = await missingLockRights(client);
  if (missing !== undefined) return { method: 'lock', possible: false, why: missing };
  return { method: 'lock', possible: true, why: 'a secondary, and the user may lock it' };
}

