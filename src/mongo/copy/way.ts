import type { MongoClient } from 'mongodb';
import type { ClusterTime, Optime } from '../../base/cluster-time.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { ByteRange } from './extents.ts';
import { type DataDirectory, type SourceFile } from './files.ts';
import type { CopiedMember } from './member.ts';
import { isSame, stampOf, type Known } from './remembered.ts';

export type CopyMethod = 'clone' | 'window' | 'lock';

/** A file whose bytes belong to the copy. `changed` and `unchanged` are about the bytes last stored under the same path: by an earlier call in this copy, else by the point that `previous` came from. */
export type FileToRead = {
  /** Relative to dbPath, with '/'. */
  readonly path: string;
  readonly from: string;
  readonly bytes: number;
  readonly mode: number;
  /** Only these ranges may differ; absent: read everything. */
  readonly changed?: readonly ByteRange[];
  /** Nothing differs. */
  readonly unchanged?: boolean;
  /** Ranges that nobody will read: their bytes need not be stored. May reach behind the end. */
  readonly free?: () => Promise<readonly ByteRange[]>;
};

/**
 * Stores what it is given; answers the paths that were gone when it came to read them. A live file may shrink meanwhile.
 * The signal is aborted when the result is of no use any more: a lock was lost, the task was stopped.
 */
export type StoreFiles = (files: FileToRead[], pass: 'pre' | 'final', signal: AbortSignal) => Promise<readonly string[] | void>;

export type CopiedFile = { readonly path: string; readonly bytes: number; readonly mode: number };

/** What every way of copying works with. */
export type Errand = {
  readonly client: MongoClient;
  readonly member: CopiedMember;
  readonly data: DataDirectory;
  readonly workDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly notes: string[];
  /** Hands files to the caller and learns from it. */
  readonly ledger: Ledger;
};

export type Taken = {
  readonly kind: 'taken';
  readonly checkpoint: ClusterTime;
  /** Of the copy's own oplog, where it is known exactly. */
  readonly top: Optime | null;
  /** The top is this or later. */
  readonly topAtLeast: Optime;
  readonly lockedMs: number;
  readonly files: readonly CopiedFile[];
  readonly clone: string | null;
};

/** An attempt that failed without harm: the next way may do. */
export type Missed = { readonly kind: 'missed'; readonly why: string };

/** What is stored so far, and how fast that went. */
export type Ledger = {
  readonly known: Known;
  /** Bytes a second, reading and storing; measured once something of size was stored. */
  rate(): number;
  /** Stores files read in place, marking those that are as they were. Answers those that are there. */
  storeLive(files: readonly SourceFile[], pass: 'pre' | 'final', signal: AbortSignal): Promise<CopiedFile[]>;
  /** Stores files that cannot change. */
  storeClones(files: FileToRead[], stamps: Known, signal: AbortSignal): Promise<void>;
  /** Bytes that `storeLive` would have read. */
  unknownBytes(files: readonly SourceFile[]): number;
};

const ASSUMED_RATE = 64 << 20;
const ENOUGH_BYTES = 32 << 20;

export function openLedger(known: Known, store: StoreFiles, clock: Clock): Ledger {
  let bytesRead = 0;
  let msSpent = 0;
  const unknown = (files: readonly SourceFile[]): SourceFile[] => files.filter((file) => !isSame(file, known.get(file.path)));
  const sum = (files: readonly { bytes: number }[]): number => files.reduce((total, file) => total + file.bytes, 0);
  return {
    known,
    rate: () => (bytesRead < ENOUGH_BYTES ? ASSUMED_RATE : (bytesRead / Math.max(1, msSpent)) * 1000),
    unknownBytes: (files) => sum(unknown(files)),
    async storeLive(files, pass, signal) {
      const toRead = unknown(files);
      const reading = new Set(toRead);
      const startedAt = clock.monotonicMs();
      const answer = await store(files.map((file) => (reading.has(file) ? plain(file) : { ...plain(file), unchanged: true })), pass, signal);
      const gone = new Set<string>(answer ?? []);
      msSpent += clock.monotonicMs() - startedAt;
      bytesRead += sum(toRead);
      for (const file of toRead) known.set(file.path, stampOf(file));
      for (const path of gone) known.delete(path);
      return files.filter((file) => !gone.has(file.path)).map(({ path, bytes, mode }) => ({ path, bytes, mode }));
    },
    async storeClones(files, stamps, signal) {
      await store(files, 'final', signal);
      known.clear();
      for (const [path, stamp] of stamps) known.set(path, stamp);
    },
  };
}

function plain({ path, from, bytes, mode }: SourceFile): FileToRead {
  return { path, from, bytes, mode };
}
