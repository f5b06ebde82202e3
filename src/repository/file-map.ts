/**
 * A file's map: the ids of its chunks in order, 32 bytes each, cut into list chunks of at most 1 MiB.
 *
 * List chunks are chunks like any other, so a map that did not change costs nothing, and of one that did only the changed
 * 64 KiB (2,048 ids, 2 GiB of the file) are stored.
 */
import { chunkBytes, idBytes, type ChunkId } from './chunk.ts';

const idsPerList = chunkBytes / idBytes;

export function chunkCount(bytes: number): number {
  return Math.ceil(bytes / chunkBytes);
}

/** Bytes of a file's `index`-th chunk. */
export function chunkLength(fileBytes: number, index: number): number {
  return Math.min(chunkBytes, fileBytes - index * chunkBytes);
}

export function encodeMap(ids: readonly ChunkId[]): Buffer[] {
  const lists: Buffer[] = [];
  for (let at = 0; at < ids.length; at += idsPerList) lists.push(Buffer.from(ids.slice(at, at + idsPerList).join(''), 'hex'));
  return lists;
}

export function decodeList(list: Buffer): ChunkId[] {
  const ids: ChunkId[] = [];
  for (let at = 0; at < list.length; at += idBytes) ids.push(list.toString('hex', at, at + idBytes));
  return ids;
}

/** Bytes of a map's `index`-th list chunk. */
export function listLength(fileBytes: number, index: number): number {
  return Math.min(chunkBytes, chunkCount(fileBytes) * idBytes - index * chunkBytes);
}
