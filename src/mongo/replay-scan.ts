/**
 * Reads a range of the archive before anything is started, and refuses what must not be met half-way: entries that no
 * replay may cross, and bytes that are not one run (strictly ascending, nothing outside of the range).
 */
import { compareTimes, showTime, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { noteIndexes, type PlainIndexes } from './index-repair.ts';
import { barrierOf, entriesOf, type OplogEntry } from './oplog-entry.ts';
import type { OplogBatch } from './oplog-batch.ts';
import { replayArchiveBroken, replayBarrier } from './replay-failures.ts';

/** The archived entries of (after, through], oldest first. */
export type ArchivedOplog = (after: ClusterTime, through: ClusterTime) => AsyncIterable<OplogBatch>;

export type Scanned = {
  readonly entries: number;
  readonly bytes: number;
  /** The newest entry of the range; undefined when it is empty. */
  readonly last: Optime | undefined;
  readonly plainIndexes: PlainIndexes;
};

export async function scanRange(
  archive: ArchivedOplog,
  after: ClusterTime,
  through: ClusterTime,
  look: { readonly signal?: AbortSignal; readonly onEntry?: (entry: OplogEntry) => void } = {},
): Promise<Scanned> {
  let [entries, bytes] = [0, 0];
  let last: Optime | undefined;
  let lastSafe: ClusterTime = after;
  const plainIndexes: PlainIndexes = new Map();
  if (compareTimes(after, through) >= 0) return { entries, bytes, last, plainIndexes };
  for await (const batch of archive(after, through)) {
    look.signal?.throwIfAborted();
    for (const entry of entriesOf(batch.bytes)) {
      const { at } = entry;
      if (compareTimes(at, lastSafe) <= 0)
        throw replayArchiveBroken({ why: `${showTime(at)} comes after ${showTime(lastSafe)}` });
      if (compareTimes(at, through) > 0)
        throw replayArchiveBroken({ why: `${showTime(at)} is beyond ${showTime(through)}` });
      const what = barrierOf(entry);
      if (what !== undefined) throw replayBarrier({ at, what, lastSafe });
      noteIndexes(entry, plainIndexes);
      look.onEntry?.(entry);
      entries++;
      last = at;
      lastSafe = at;
    }
    bytes += batch.bytes.length;
  }
  return { entries, bytes, last, plainIndexes };
}
