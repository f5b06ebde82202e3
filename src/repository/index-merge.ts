/**
 * Merging segments, so that a lookup asks few of them.
 *
 * The merged segment is durable before the old ones are deleted; whoever still had those open misses them and reads the
 * list again. Two that merge the same segments at once both succeed, and the next merge drops what is double. Entries of
 * packs that are gone are dropped on the way: that is how the index forgets what a sweep deleted.
 */
import { isFailure } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { idBytes } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import { objectMissing } from './failures.ts';
import { encodePackTable, entryBytes, openSegmentBuilder, packNumber, type PackSize, type SegmentBuilder } from './index-segment.ts';
import type { Segment } from './segment-reader.ts';

const fewest = 4;
const mostSegments = 8;

/** Merges the smallest segments when there are enough of a kind. `all` merges whatever there is. */
export async function mergeSegments(parts: ArchiveParts, index: ChunkIndex, options: { mostEntries: number; all?: boolean }): Promise<void> {
  const chosen = options.all === true ? [...index.segments] : worthMerging(index.segments, options.mostEntries);
  if (chosen.length === 0) return;
  try {
    await merge(parts, index, chosen);
  } catch (error) {
    if (!isFailure(error, objectMissing)) throw error;
  }
  await index.reload();
}

/** The smallest segments, as long as the next is not much larger than all before it together. */
export function worthMerging(segments: readonly Segment[], mostEntries: number): Segment[] {
  const sorted = [...segments].sort((a, b) => a.entries - b.entries);
  let sum = 0;
  let count = 0;
  for (const segment of sorted) {
    const isAlike = segment.entries <= 2 * sum || count === 0 || sorted.length - count > mostSegments;
    if (!isAlike || sum + segment.entries > mostEntries) break;
    sum += segment.entries;
    count += 1;
  }
  return count >= fewest ? sorted.slice(0, count) : [];
}

async function merge({ storage, keys, names }: ArchiveParts, index: ChunkIndex, segments: readonly Segment[]): Promise<void> {
  const packs = new Map<string, PackSize>();
  for (const segment of segments) {
    for (let number = 0; number < segment.packs; number++) {
      const pack = segment.packAt(number);
      if (index.hasPack(pack.id)) packs.set(pack.id, pack);
    }
  }
  const table = encodePackTable([...packs.values()]);
  const id = randomId();
  const writer = await storage.create(names.segment(id));
  try {
    const builder = await openSegmentBuilder(writer, id, keys.index(id), table);
    await mergeInto(builder, segments.map((segment) => openCursor(segment, numbersIn(table, segment, packs))));
    await builder.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  for (const segment of segments) await storage.delete(segment.name);
}

/** For each pack number of a segment its number in the merged table, or -1 when the pack is gone. */
function numbersIn(table: Buffer, segment: Segment, packs: ReadonlyMap<string, PackSize>): Int32Array {
  const numbers = new Int32Array(segment.packs);
  for (let number = 0; number < segment.packs; number++) {
    const { id } = segment.packAt(number);
    numbers[number] = packs.has(id) ? packNumber(table, Buffer.from(id, 'hex')) : -1;
  }
  return numbers;
}

type Cursor = { run: Buffer; at: number; readonly numbers: Int32Array; readonly next: () => Promise<boolean> };

function openCursor(segment: Segment, numbers: Int32Array): Cursor {
  const runs = segment.runs()[Symbol.asyncIterator]();
  const cursor: Cursor = {
    run: Buffer.alloc(0),
    at: 0,
    numbers,
    async next() {
      const { done, value } = await runs.next();
      if (done === true) return false;
      cursor.run = value;
      cursor.at = 0;
      return true;
    },
  };
  return cursor;
}

async function mergeInto(builder: SegmentBuilder, cursors: Cursor[]): Promise<void> {
  const live: Cursor[] = [];
  for (const cursor of cursors) if (await cursor.next()) live.push(cursor);
  const last = Buffer.alloc(idBytes);
  const lastPacks: number[] = [];
  while (live.length > 0) {
    let least = live[0]!;
    for (const cursor of live) if (cursor.run.compare(least.run, least.at, least.at + idBytes, cursor.at, cursor.at + idBytes) < 0) least = cursor;
    const { run, at } = least;
    const pack = least.numbers[run.readUInt32LE(at + idBytes)]!;
    if (run.compare(last, 0, idBytes, at, at + idBytes) !== 0) {
      run.copy(last, 0, at, at + idBytes);
      lastPacks.length = 0;
    }
    if (pack >= 0 && !lastPacks.includes(pack)) {
      builder.add(run, at, pack, run.readUInt32LE(at + idBytes + 4), run.readUInt16LE(at + idBytes + 8));
      lastPacks.push(pack);
    }
    least.at += entryBytes;
    if (least.at < run.length) continue;
    await builder.drain();
    if (!(await least.next())) live.splice(live.indexOf(least), 1);
  }
}
