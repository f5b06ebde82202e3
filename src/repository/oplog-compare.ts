/** Whether slices have the same entries, byte for byte, whatever their borders and blocks are. */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { oplogDamaged } from './failures.ts';
import { lastPart } from './object-names.ts';
import { entryTimes, type EntryTime } from './oplog-entry-time.ts';
import { openSlice, readBlock } from './oplog-reader.ts';
import type { OpenedSlice, SliceName } from './oplog-slice.ts';

/** All entries of these slices, in order. */
export async function* plainOf(parts: ArchiveParts, chain: string, slices: readonly SliceName[]): AsyncGenerator<Uint8Array> {
  for (const slice of slices) {
    const opened = await openSlice(parts, chain, slice);
    for (let index = 0; index < opened.header.blocks.length; index++) yield await readBlock(parts, chain, slice, opened, index);
  }
}

export async function haveSameEntries(a: AsyncIterable<Uint8Array>, b: AsyncIterable<Uint8Array>): Promise<boolean> {
  const [left, right] = [a[Symbol.asyncIterator](), b[Symbol.asyncIterator]()];
  const next = async (from: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> => {
    const { done, value } = await from.next();
    return done === true ? undefined : value;
  };
  try {
    let [one, other] = [await next(left), await next(right)];
    while (one !== undefined && other !== undefined) {
      const bytes = Math.min(one.length, other.length);
      if (Buffer.compare(one.subarray(0, bytes), other.subarray(0, bytes)) !== 0) return false;
      one = one.length > bytes ? one.subarray(bytes) : await next(left);
      other = other.length > bytes ? other.subarray(bytes) : await next(right);
    }
    return one === undefined && other === undefined;
  } finally {
    await left.return?.();
    await right.return?.();
  }
}

export type SliceView = {
  readonly opened: OpenedSlice;
  /** The entries of (after, through]. */
  entries(after: ClusterTime, through: ClusterTime): AsyncGenerator<Uint8Array>;
  /** Why another slice, which it has the range of, has not the same entries there. Fails when the view itself is damaged. */
  differs(other: SliceName): Promise<string | undefined>;
};

type Block = { readonly index: number; readonly plain: Buffer; readonly times: readonly EntryTime[] };

/** A slice that is compared piece by piece, in order: its last block is kept. */
export async function openSliceView(parts: ArchiveParts, chain: string, slice: SliceName): Promise<SliceView> {
  const opened = await openSlice(parts, chain, slice);
  let kept: Block | undefined;
  const blockAt = async (index: number): Promise<Block> => {
    if (kept?.index === index) return kept;
    const plain = await readBlock(parts, chain, slice, opened, index);
    const times = entryTimes(plain);
    if (times === undefined) throw oplogDamaged({ chain, slice: lastPart(slice.name), what: `block ${index} is not made of oplog entries` });
    kept = { index, plain, times };
    return kept;
  };
  async function* entries(after: ClusterTime, through: ClusterTime): AsyncGenerator<Uint8Array> {
    for (const [index, { first, last }] of opened.header.blocks.entries()) {
      if (compareTimes(last, after) <= 0 || compareTimes(first, through) > 0) continue;
      const { plain, times } = await blockAt(index);
      const from = firstBehind(times, after);
      const to = firstBehind(times, through);
      if (from < to) yield plain.subarray(times[from]!.from, times[to - 1]!.from + times[to - 1]!.bytes);
    }
  }
  return {
    opened,
    entries,
    async differs(other) {
      let damage: string | undefined;
      async function* theirs(): AsyncGenerator<Uint8Array> {
        try {
          yield* plainOf(parts, chain, [other]);
        } catch (error) {
          if (!isFailure(error, oplogDamaged)) throw error;
          damage = error.message;
        }
      }
      const isSame = await haveSameEntries(entries(other.after, other.through), theirs());
      return damage ?? (isSame ? undefined : `its entries are not those of ${lastPart(slice.name)}, which it stands inside of`);
    },
  };
}

/** The place of the first entry behind a moment. */
function firstBehind(times: readonly EntryTime[], moment: ClusterTime): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareTimes(times[middle]!.at, moment) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
