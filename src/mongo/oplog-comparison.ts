/** A copy's own oplog and the archive, compared over what both have. */
import { compareTimes, latest, sameTime, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { justBefore } from '../domain/oplog-chain.ts';
import { asBuffer, splitDocuments } from './bson-bytes.ts';
import { readOptime } from './oplog-entry.ts';
import { replayHistoryDiffers } from './replay-failures.ts';
import type { ArchivedOplog } from './replay-scan.ts';

export type Comparison = {
  readonly checkpoint: ClusterTime;
  readonly archive: ArchivedOplog;
  /** Where the chain starts; the comparison cannot go further back. Its term is compared where it is known. */
  readonly chainStart?: ClusterTime & { readonly term?: number };
  readonly signal?: AbortSignal;
};

export type Compared = { readonly count: number; readonly holes: readonly Uint8Array[]; readonly last: Optime };

/**
 * Walks the copy's own oplog, from its newest entry at or before the checkpoint, and the archive, through `through`. An entry
 * of the copy that the archive lacks is foreign.
 */
export async function compareOplogs(entries: AsyncGenerator<readonly Buffer[]>, { checkpoint, chainStart, archive, signal }: Comparison, through: ClusterTime): Promise<Compared> {
  await using own = openQueue(entries);
  const holes: Uint8Array[] = [];
  let count = 0;
  await own.fill();
  if (own.first === undefined) throw replayHistoryDiffers({ at: checkpoint, why: 'the copy has no entry there' });
  const start = readOptime(own.first);
  let last: Uint8Array = own.first;
  if (chainStart !== undefined && compareTimes(chainStart, start) >= 0) {
    if (compareTimes(chainStart, start) === 0 && chainStart.term !== undefined && chainStart.term !== start.term) {
      throw replayHistoryDiffers({
        at: start,
        why: `term ${start.term} in the copy, ${chainStart.term} where the archive starts`,
      });
    }
    own.take();
  }
  const after = latest(justBefore(start), chainStart ?? justBefore(start));
  for await (const batch of compareTimes(after, through) < 0 ? archive(after, through) : []) {
    signal?.throwIfAborted();
    for (const theirs of splitDocuments(batch.bytes)) {
      last = theirs;
      if (own.first === undefined) await own.fill();
      if (own.first === undefined || isFurther(own.first, theirs)) {
        holes.push(Buffer.from(theirs));
        continue;
      }
      count++;
      own.take();
    }
  }
  if (own.first === undefined) await own.fill();
  if (own.first !== undefined)
    throw replayHistoryDiffers({ at: readOptime(own.first), why: 'the copy has an entry that the archive lacks' });
  return { count, holes, last: readOptime(last) };
}

/** Whether the copy lacks the archive's entry. Where it has it, the entries are the same to the byte, or the histories differ. */
function isFurther(mine: Buffer, theirs: Uint8Array): boolean {
  if (withoutId(mine).equals(asBuffer(theirs).subarray(4))) return false;
  const at = readOptime(theirs);
  if (compareTimes(readOptime(mine), at) > 0) return true;
  throw differing(mine, at);
}

/** Batches as a queue that is only waited for when it has run dry. */
type Queue = AsyncDisposable & { readonly first: Buffer | undefined; take(): void; fill(): Promise<void> };

function openQueue(batches: AsyncGenerator<readonly Buffer[]>): Queue {
  let batch: readonly Buffer[] = [];
  let at = 0;
  return {
    get first() {
      return batch[at];
    },
    take: () => void (at += 1),
    async fill() {
      while (batch[at] === undefined) {
        const next = await batches.next();
        if (next.done === true) return;
        [batch, at] = [next.value, 0];
      }
    },
    [Symbol.asyncDispose]: async () => void (await batches.return(undefined)),
  };
}

function differing(mine: Buffer, at: Optime): Error {
  const { term, ...own } = readOptime(mine);
  if (!sameTime(own, at)) return replayHistoryDiffers({ at: own, why: 'the copy has an entry that the archive lacks' });
  if (term !== at.term) return replayHistoryDiffers({ at, why: `term ${term} in the copy, ${at.term} in the archive` });
  return replayHistoryDiffers({ at, why: 'the bytes of the entry differ' });
}

/** An entry's fields, without the ObjectId that mongod puts in front of what is inserted into the oplog by hand. */
function withoutId(entry: Buffer): Buffer {
  return entry.subarray(entry[4] === 7 && entry.toString('latin1', 5, 9) === '_id\0' ? 21 : 4);
}
