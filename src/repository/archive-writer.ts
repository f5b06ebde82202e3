/**
 * Storing a restore point.
 *
 * Order, and what a crash leaves behind each step:
 *   1. lease         a lease that ends by itself
 *   2. retired, distrusted, index, packs read: what may be built on
 *   3. packs         each durable, then visible; unknown to the index: the next writer takes them up
 *   4. index         a segment of what is new
 *   5. retained      in an immutable repository: every pack that the point needs, older ones too, before the point is seen
 *   6. point         the manifest: before it nothing can be seen, after it everything is there
 *   7. lease confirmed, else the point is withdrawn, where it is not retained: then all it needs is there and stays. Released at `close`
 */
import { open } from 'node:fs/promises';
import { systemClock, type Clock } from '../base/clock.ts';
import type { ClusterTime, Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { chunkBytes, frameBytes, framesPerChunk, type ByteRange, type ChunkId } from './chunk.ts';
import { openChunkIndex, type ChunkIndex } from './chunk-index.ts';
import { openChunkWriter, type CopiedChunk, type WriterCounts } from './chunk-writer.ts';
import { readDistrusted } from './distrusted.ts';
import { objectRetained, sourceUnreadable, writerClosed } from './failures.ts';
import { chunkCount, chunkLength, decodeList, encodeMap, listLength } from './file-map.ts';
import type { Level } from './frame-codec.ts';
import { keepDescriptor } from './immutable.ts';
import { mergeSegments } from './index-merge.ts';
import { takeLease } from './lease.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { openPackLine } from './pack-line.ts';
import { plainFrames } from './plain-frames.ts';
import type { CopiedFrom, PointManifest, StoredFile } from './points.ts';
import { openRecent } from './recent.ts';
import { readRetired } from './retired.ts';
import type { Stage } from './stages.ts';
import { openStorePool } from './store-pool.ts';

export type WriterProgress = Readonly<WriterCounts>;

export type FileToStore = {
  readonly path: string;
  readonly from: string;
  /** What of the file is stored. Where it has become shorter meanwhile, the rest reads as zeros. */
  readonly bytes: number;
  readonly mode: number;
  readonly base?: StoredFile;
  /** Ranges that may differ from `base`; nothing else is read. Absent: all of it is read. */
  readonly changed?: readonly ByteRange[];
  /** Ranges that nobody will read, in order and apart: stored as zeros where they are in what is read. */
  readonly free?: readonly ByteRange[];
};

export type PointToPublish = {
  readonly id: string;
  /** Of a copy: when its original was made. */
  readonly createdAtMs?: number;
  readonly checkpoint: ClusterTime;
  readonly top: Optime;
  readonly about: unknown;
  readonly files: readonly StoredFile[];
  readonly copiedFrom?: CopiedFrom;
};

/** `replaces`: the manifest that is there cannot be read. */
export type HowToPublish = { readonly replaces?: boolean };

export type ArchiveWriter = {
  /** Several files at once are fine. What it stored is durable after `flush`. */
  storeFile(file: FileToStore): Promise<{ kind: 'stored'; file: StoredFile } | { kind: 'vanished' }>;
  /** A chunk of another archive. `base` is the chunk of this one that it is compared with. */
  storeCopied(chunk: CopiedChunk, base: ChunkId | undefined): Promise<ChunkId>;
  /** The map of a file whose chunks were stored one by one. */
  storeMap(ids: readonly ChunkId[]): Promise<ChunkId[]>;
  /** Whether a chunk of so many bytes can be taken over as it is; then it counts as processed. */
  takeOver(id: ChunkId, bytes: number): Promise<boolean>;
  /** Every chunk so far durable and in the index. */
  flush(): Promise<void>;
  /** The moment the point exists. Flushes first. */
  publish(point: PointToPublish, how?: HowToPublish): Promise<PointManifest>;
  readonly counts: WriterProgress;
  /** What holds the storing up: reading the source, hashing and sealing, or the repository. */
  slowest(): Stage | null;
  close(): Promise<void>;
};

export type WriterOptions = {
  readonly level: Level;
  /** Threads that hash, compress and encrypt. */
  readonly workers?: number;
  readonly clock?: Clock;
  readonly onProgress?: (progress: WriterProgress) => void;
  readonly packBytes?: number;
};

const packBytesByDefault = 64 << 20;
/** Chunks in memory before they go to an index segment of their own: 256 GiB of new data. */
const mostRecent = 1 << 18;
/** A writer merges small segments in passing, a second's work; the large ones are merged by a sweep. */
const mostMerged = 1 << 22;

export async function openArchiveWriter(parts: ArchiveParts, options: WriterOptions & { readonly workers: number }): Promise<ArchiveWriter> {
  const { storage, keys, names, points, packs, setId } = parts;
  const clock = options.clock ?? systemClock;
  const counts: WriterCounts = { processed: 0, read: 0, transferred: 0, stored: 0 };
  let failed: unknown;
  let closed = false;

  const lease = await takeLease({ storage, names, objectKey: keys.object, clock }, 'writer');
  const lookAround = async (): Promise<{ avoided: Set<string>; index: ChunkIndex }> => {
    const avoided = new Set([...(await readRetired(parts, clock)), ...(await readDistrusted(parts))]);
    const index = await openChunkIndex(storage, keys, names, packs);
    await index.coverPacks();
    return { avoided, index };
  };
  const { avoided, index } = await lookAround().catch(async (error: unknown) => {
    await lease.release();
    throw error;
  });
  const pool = openStorePool(options.workers, options.level);
  const fail = (error: unknown): void => void (failed ??= error);
  const written = new Set<string>();
  const onPack = (pack: string, bytes: number): void => {
    written.add(pack);
    counts.stored += bytes;
  };
  const line = openPackLine(
    { storage, keys, names, index },
    { packBytes: options.packBytes ?? packBytesByDefault, onPack, onFailure: fail },
  );
  const chunks = openChunkWriter({ keys, index, packs, line, pool, avoided, counts, failed: () => failed as Error | undefined, fail });
  const plain = plainFrames({ index, packs, keys }, 0);

  const requireUsable = (): void => {
    if (closed) throw writerClosed({ setId });
    if (failed !== undefined) throw failed as Error;
  };

  /** Lists of this session, the last ones: the pack they are in may not be finished. */
  const lists = openRecent<Buffer>(listsKept);
  const readList = async (base: StoredFile, at: number): Promise<Buffer> => {
    const list = base.map[at]!;
    const known = lists.get(list);
    if (known !== undefined) return known;
    const read = async (): Promise<Buffer> => await plain.readChunk(list, listLength(base.bytes, at));
    return await read().catch(async () => {
      await flush();
      return await read();
    });
  };
  /** The ids of a base file's chunks; none where its map cannot be read: then all of the file is. */
  const baseIds = async (base: StoredFile | undefined): Promise<ChunkId[]> => {
    const ids: ChunkId[] = [];
    for (let at = 0; at < (base?.map.length ?? 0); at++) {
      const list = await readList(base!, at).catch(ignoreFailure);
      if (list === undefined) return [];
      ids.push(...decodeList(list));
    }
    return ids;
  };

  const storeChunks = async (file: FileToStore, fd: number): Promise<ChunkId[]> => {
    const base = await baseIds(file.base);
    const changed = file.changed === undefined ? undefined : changedFrames(file.changed, file.bytes);
    const freeIn = cutter(file.free ?? []);
    const ids: Promise<ChunkId>[] = [];
    const storeOne = async (at: number): Promise<ChunkId> => {
      const bytes = chunkLength(file.bytes, at);
      const free = freeIn(at * chunkBytes, bytes);
      const before = base[at];
      const isComparable = before !== undefined && chunkLength(file.base!.bytes, at) === bytes;
      const mask = changed === undefined || !isComparable ? -1 : (changed.get(at) ?? 0);
      const isTaken = mask === 0 && (await chunks.has(before!));
      const id = isTaken ? before! : await chunks.store({ kind: 'file', path: file.path, fd, from: at * chunkBytes, bytes, base: before, changed: mask, free });
      counts.processed += bytes;
      options.onProgress?.(counts);
      return id;
    };
    try {
      for (let at = 0; at < chunkCount(file.bytes); at++) {
        requireUsable();
        ids.push(storeOne(at));
        ids[at]!.catch(() => {});
        if (at >= mostAhead) await ids[at - mostAhead];
      }
    } finally {
      // The file stays open until nobody reads it any more.
      await Promise.allSettled(ids);
    }
    return await Promise.all(ids);
  };

  const storeMap = async (ids: readonly ChunkId[]): Promise<ChunkId[]> => {
    const map: ChunkId[] = [];
    for (const list of encodeMap(ids)) {
      const id = await chunks.store({ kind: 'memory', bytes: list });
      lists.set(id, list);
      map.push(id);
    }
    return map;
  };

  let flushing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    const work = flushing.then(async () => {
      await chunks.settle();
      await line.finishAll();
      await chunks.settle();
      counts.stored += await index.flush();
    });
    flushing = work.catch(() => {});
    await work;
  };

  return {
    counts,
    slowest: () => pool.stages.slowest(),
    async storeFile(file) {
      requireUsable();
      const handle = await open(file.from, 'r').catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw sourceUnreadable({ path: file.from, why: String(error) }, error);
      });
      if (handle === undefined) return { kind: 'vanished' };
      try {
        const map = await storeMap(await storeChunks(file, handle.fd));
        if (index.recentCount > mostRecent) await flush();
        return { kind: 'stored', file: { path: file.path, bytes: file.bytes, mode: file.mode, map } };
      } finally {
        await handle.close();
      }
    },
    async storeCopied(chunk, base) {
      requireUsable();
      const id = await chunks.store({ kind: 'copied', base, ...chunk });
      counts.processed += chunk.bytes;
      options.onProgress?.(counts);
      if (index.recentCount > mostRecent) await flush();
      return id;
    },
    storeMap,
    async takeOver(id, bytes) {
      const isHere = await chunks.has(id);
      if (isHere) counts.processed += bytes;
      return isHere;
    },
    async flush() {
      requireUsable();
      await flush();
    },
    async publish(point, how = {}) {
      requireUsable();
      await flush();
      await lease.confirm();
      const manifest: PointManifest = { ...point, createdAtMs: point.createdAtMs ?? clock.now(), bytes: { ...counts } };
      await storage.retention?.retain([names.about, ...[...written, ...chunks.builtOn].map(names.pack)]);
      if (storage.appendOnly !== true) await keepDescriptor(storage);
      await points.put(manifest, how.replaces === true ? 'replace' : 'new');
      try {
        await lease.confirm();
      } catch (error) {
        try {
          await points.delete(point.id);
        } catch (refused) {
          // Everything it needs was there and retained before it, whatever a sweep believed meanwhile: it is whole.
          if (isFailure(refused, objectRetained)) return manifest;
          throw refused;
        }
        throw error;
      }
      return manifest;
    },
    async close() {
      if (closed) return;
      closed = true;
      try {
        await flush();
        // Merging deletes what others wrote: where that is not ours to do, a sweep does it.
        if (storage.appendOnly !== true) await mergeSegments(parts, index, { mostEntries: mostMerged });
      } catch (error) {
        // What could not be finished is stored again by the next run; the caller has its failure already, or needs none.
        if (!isFailure(error)) throw error;
      } finally {
        await pool.close();
        await line.abort();
        await lease.release();
      }
    },
  };
}

/** Chunks of one file whose id is not known yet. */
const mostAhead = 64;
const listsKept = 64;

/** By number of the chunk, a bit for each of its frames that one of the ranges touches. */
function changedFrames(ranges: readonly ByteRange[], fileBytes: number): Map<number, number> {
  const masks = new Map<number, number>();
  for (const range of ranges) {
    const end = Math.min(range.from + range.bytes, fileBytes);
    for (let frame = Math.floor(range.from / frameBytes); frame * frameBytes < end; frame++) {
      const chunk = Math.floor(frame / framesPerChunk);
      masks.set(chunk, (masks.get(chunk) ?? 0) | (1 << frame % framesPerChunk));
    }
  }
  return masks;
}

/** Answers the parts of ranges that lie in a region, counted from its start. Regions are asked for in order. */
function cutter(ranges: readonly ByteRange[]): (from: number, bytes: number) => ByteRange[] {
  let next = 0;
  return (from, bytes) => {
    const end = from + bytes;
    while (next < ranges.length && ranges[next]!.from + ranges[next]!.bytes <= from) next += 1;
    const parts: ByteRange[] = [];
    for (let k = next; k < ranges.length && ranges[k]!.from < end; k++) {
      const first = Math.max(ranges[k]!.from, from);
      parts.push({ from: first - from, bytes: Math.min(ranges[k]!.from + ranges[k]!.bytes, end) - first });
    }
    return parts;
  };
}

function ignoreFailure(error: unknown): undefined {
  if (!isFailure(error)) throw error;
  return undefined;
}
