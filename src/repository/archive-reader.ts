import type { ArchiveParts } from './archive-parts.ts';
import { chunkBytes, holeId, otherPacks, type ChunkId } from './chunk.ts';
import { openChunkIndex, type ChunkIndex } from './chunk-index.ts';
import { isFailure } from '../base/failure.ts';
import { isOfPlace } from './damage.ts';
import { chunkMissing } from './failures.ts';
import { chunkCount, chunkLength, decodeList, listLength } from './file-map.ts';
import { tagBytes } from './keys.ts';
import { layFile } from './lay-file.ts';
import { openLayPool, type LayPool } from './lay-pool.ts';
import type { PackStore } from './pack-store.ts';
import { plainFrames } from './plain-frames.ts';
import type { PointManifest, StoredFile } from './points.ts';
import type { Stage } from './stages.ts';

export type OpenedFile = {
  readonly bytes: number;
  /** Bytes [from, from + bytes), fewer at the end of the file; every one of them proved. */
  read(from: number, bytes: number): Promise<Uint8Array>;
};

export type ArchiveReader = {
  openFile(file: StoredFile): Promise<OpenedFile>;
  /** Lays a file down at full speed: sparse, proved, and on the disk when it resolves. `to` is replaced. */
  layFile(file: StoredFile, to: string, onBytes?: (bytes: number) => void): Promise<void>;
  /** Chunks that the index, the packs' names or a header say are not there. Reads no data. */
  missingChunks(point: PointManifest): Promise<ChunkId[]>;
  /** What holds the laying down up: the repository, opening what comes from it, or where the files go. */
  slowest(): Stage | null;
  close(): Promise<void>;
};

export type ReaderOptions = { readonly cacheBytes?: number; readonly workers?: number };

const cacheBytesByDefault = 64 << 20;

export async function openArchiveReader(parts: ArchiveParts, options: ReaderOptions & { readonly workers: number }): Promise<ArchiveReader> {
  const { storage, keys, names, packs, points } = parts;
  await points.awaitListed();
  const index = await openChunkIndex(storage, keys, names, packs);
  const plain = plainFrames({ index, packs, keys, freshen: points.awaitListed }, options.cacheBytes ?? cacheBytesByDefault);
  let pool: LayPool | undefined;

  const readMap = async (file: StoredFile): Promise<ChunkId[]> => {
    const ids: ChunkId[] = [];
    for (const [at, list] of file.map.entries()) ids.push(...decodeList(await plain.readChunk(list, listLength(file.bytes, at))));
    if (ids.length !== chunkCount(file.bytes)) throw chunkMissing({ chunk: `${ids.length} of ${file.path}` });
    return ids;
  };

  return {
    async openFile(file) {
      const ids = Buffer.from((await readMap(file)).join(''), 'hex');
      return {
        bytes: file.bytes,
        async read(from, bytes) {
          const end = Math.min(from + bytes, file.bytes);
          const out = Buffer.allocUnsafeSlow(Math.max(0, end - from));
          const reads: Promise<void>[] = [];
          for (let at = from; at < end; ) {
            const chunk = Math.floor(at / chunkBytes);
            const length = chunkLength(file.bytes, chunk);
            const within = at - chunk * chunkBytes;
            const count = Math.min(length - within, end - at);
            reads.push(plain.read(ids.toString('hex', chunk * 32, chunk * 32 + 32), length, within, count, out.subarray(at - from, at - from + count)));
            at += count;
          }
          await Promise.all(reads);
          return out;
        },
      };
    },
    async layFile(file, to, onBytes) {
      pool ??= openLayPool(options.workers);
      await layFile({ packs, keys, plain, pool }, file, await readMap(file), to, onBytes ?? (() => {}));
    },
    async missingChunks(point) {
      await index.coverPacks();
      const missing: ChunkId[] = [];
      const seen = new Set<ChunkId>();
      const look = async (id: ChunkId): Promise<boolean> => {
        if (id === holeId || seen.has(id)) return true;
        seen.add(id);
        const isThere = await isWhole(index, packs, id);
        if (!isThere) missing.push(id);
        return isThere;
      };
      for (const file of point.files) {
        const lists = await Promise.all(file.map.map(look));
        if (lists.includes(false)) continue;
        for (const id of await readMap(file).catch((error: unknown) => unreadable(error, file, missing))) await look(id);
      }
      return missing;
    },
    slowest: () => pool?.stages.slowest() ?? null,
    async close() {
      await pool?.close();
    },
  };
}

/** Whether a place of the chunk is in a pack that is there, and so are the packs of its frames: only a header says where those are. */
async function isWhole(index: ChunkIndex, packs: PackStore, id: ChunkId): Promise<boolean> {
  for await (const place of index.candidates(id)) {
    if (!index.hasPack(place.pack)) continue;
    if (otherPacks(place.bytes - tagBytes) === 0) return true;
    const header = await packs.readHeader(id, place).catch((error: unknown) => {
      if (!isFailure(error) || isOfPlace(error)) throw error;
      // Another place may have it whole.
      return undefined;
    });
    if (header?.frames.every((frame) => frame.pack === undefined || index.hasPack(frame.pack)) === true) return true;
  }
  return false;
}

/** A map that is there and cannot be read is as bad as one that is not. */
function unreadable(error: unknown, file: StoredFile, missing: ChunkId[]): ChunkId[] {
  if (!isFailure(error) || isOfPlace(error)) throw error;
  missing.push(...file.map);
  return [];
}

