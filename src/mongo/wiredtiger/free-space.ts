/**
 * Which bytes of a data file its checkpoint does not use. WiredTiger never reads them: it opens a file at its checkpoint,
 * takes what is free from the checkpoint's own list, and writes there before it reads. So they need not be stored.
 *
 * The files must be a copy that is opened at the turtle's checkpoint. Anything that is not exactly as expected (an unknown
 * version, encryption at rest, a wrong checksum, two checkpoints) is answered with "nothing is free": that costs room and
 * never a byte.
 */
import { open, readFile, type FileHandle } from 'node:fs/promises';
import type { ByteRange } from '../copy/extents.ts';
import { pageTypes, readPage, type BlockAddress } from './block-file.ts';
import { unpackUint, type Cursor } from './integers.ts';
import { readMetadata, unpackCheckpoint, type CheckpointName, type FileCheckpoint } from './metadata.ts';

export type FreeSpace = {
  /** In order and apart. The last one reaches behind the file's end. */
  rangesOf(path: string): Promise<readonly ByteRange[]>;
  /** Equal in two copies: the file has the same free space in both. */
  checkpointOf(path: string): CheckpointName | undefined;
};

const nothing: readonly ByteRange[] = [];
export const noFreeSpace: FreeSpace = { rangesOf: async () => nothing, checkpointOf: () => undefined };

/** `find` says where a file of the copy lies, by its path in the data directory. */
export async function readFreeSpace(find: (path: string) => string | undefined): Promise<FreeSpace> {
  const [turtle, metadata] = [find('WiredTiger.turtle'), find('WiredTiger.wt')];
  // With a backup cursor's file in it WiredTiger opens at that cursor's checkpoint, not at the turtle's.
  if (turtle === undefined || metadata === undefined || find('WiredTiger.backup') !== undefined) return noFreeSpace;
  const bytes = await readFile(turtle);
  const checkpoints = await believed(metadata, async (file) => await readMetadata(bytes, file));
  if (checkpoints === undefined) return noFreeSpace;
  return {
    checkpointOf: (path) => checkpoints.get(path),
    async rangesOf(path) {
      const [from, checkpoint] = [find(path), checkpoints.get(path)];
      if (from === undefined || checkpoint === undefined) return nothing;
      return (await believed(from, async (file) => await freeRanges(file, checkpoint))) ?? nothing;
    },
  };
}

/** What of `ranges` is not in `others`; both in order and apart. */
export function outside(ranges: readonly ByteRange[], others: readonly ByteRange[]): ByteRange[] {
  const left: ByteRange[] = [];
  let next = 0;
  for (const range of ranges) {
    const end = range.from + range.bytes;
    let at = range.from;
    while (next < others.length && others[next]!.from + others[next]!.bytes <= at) next += 1;
    for (let k = next; k < others.length && others[k]!.from < end; k++) {
      const other = others[k]!;
      if (other.from > at) left.push({ from: at, bytes: other.from - at });
      at = Math.max(at, other.from + other.bytes);
    }
    if (at < end) left.push({ from: at, bytes: end - at });
  }
  return left;
}

/** What cannot be unpacked is not what this room knows. */
async function believed<T>(path: string, read: (file: FileHandle) => Promise<T | undefined>): Promise<T | undefined> {
  const file = await open(path, 'r');
  try {
    return await read(file);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  } finally {
    await file.close();
  }
}

async function freeRanges(file: FileHandle, name: CheckpointName): Promise<readonly ByteRange[] | undefined> {
  const checkpoint = unpackCheckpoint(name);
  if (checkpoint === undefined || (checkpoint.available?.bytes ?? 0) > mostListBytes) return undefined;
  const behind: ByteRange = { from: checkpoint.bytes, bytes: Number.MAX_SAFE_INTEGER - checkpoint.bytes };
  if (checkpoint.available === undefined) return [behind];
  const listed = await readExtents(file, checkpoint.available, checkpoint.bytes);
  return listed === undefined ? undefined : [...outside(listed, ownBlocks(checkpoint)), behind];
}

const extentsMagic = 71002;
/** Half a million ranges. A file with more keeps its free space stored: the list would take more memory than a mover may. */
const mostListBytes = 4 << 20;

/** The list's pairs of offset and bytes, which begin with a mark and end with offset 0. */
async function readExtents(file: FileHandle, address: BlockAddress, fileBytes: number): Promise<ByteRange[] | undefined> {
  const page = await readPage(file, address);
  if (page?.type !== pageTypes.extents) return undefined;
  const cursor: Cursor = { bytes: page.body, at: 0 };
  if (unpackUint(cursor) !== extentsMagic || unpackUint(cursor) !== 0) return undefined;
  const ranges: ByteRange[] = [];
  for (;;) {
    const from = unpackUint(cursor);
    const bytes = unpackUint(cursor);
    if (from === 0) break;
    if (from + bytes > fileBytes || bytes === 0) return undefined;
    ranges.push({ from, bytes });
  }
  return ranges.sort((a, b) => a.from - b.from);
}

/** The checkpoint's own lists are written into what they call free. */
function ownBlocks({ root, allocated, available, discarded }: FileCheckpoint): ByteRange[] {
  const blocks = [root, allocated, available, discarded].filter((block) => block !== undefined);
  return blocks.map(({ offset, bytes }) => ({ from: offset, bytes })).sort((a, b) => a.from - b.from);
}
