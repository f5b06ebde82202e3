import type { ChunkHeader, ChunkId } from './chunk.ts';
import type { ArchiveKeys } from './keys.ts';
import type { ObjectNames } from './object-names.ts';
import { encodeTrailer, packHead, packHeadBytes, type HeaderPlace } from './pack-format.ts';
import type { Storage } from './storage/storage.ts';

/** A pack that is being filled. Nobody sees it before `finish`. */
export type OpenPack = {
  readonly id: string;
  readonly key: Uint8Array;
  /** Bytes of head and frames so far. */
  readonly bytes: number;
  readonly chunks: number;
  header(id: ChunkId): ChunkHeader | undefined;
  /** Frames that were sealed for `offset`, in the order of their offsets. */
  append(offset: number, frames: Uint8Array): Promise<void>;
  /** A chunk whose own frames are all appended. */
  addChunk(id: ChunkId, header: ChunkHeader): void;
  /** Trailer, fsync, and the name: now it is there. */
  finish(): Promise<{ bytes: number; places: HeaderPlace[] }>;
  abort(): Promise<void>;
};

export async function openPack(storage: Storage, keys: ArchiveKeys, names: ObjectNames, id: string): Promise<OpenPack> {
  const writer = await storage.create(names.pack(id));
  const chunks = new Map<ChunkId, ChunkHeader>();
  let bytes = packHeadBytes;
  let tail: Promise<void> = writer.append(packHead(id));
  tail.catch(() => {});
  return {
    id,
    key: keys.pack(id),
    get bytes() {
      return bytes;
    },
    get chunks() {
      return chunks.size;
    },
    header: (chunk) => chunks.get(chunk),
    async append(offset, frames) {
      if (offset !== bytes) throw new Error(`frames for offset ${offset} of pack ${id} came at ${bytes}`);
      bytes += frames.length;
      tail = tail.then(async () => await writer.append(frames));
      await tail;
    },
    addChunk: (chunk, header) => void chunks.set(chunk, header),
    async finish() {
      await tail;
      const listed = [...chunks].map(([chunk, header]) => ({ id: chunk, header }));
      const trailer = encodeTrailer(keys, id, bytes, listed);
      await writer.append(trailer.bytes);
      await writer.commit();
      return { bytes: bytes + trailer.bytes.length, places: trailer.places };
    },
    async abort() {
      await tail.catch(() => {});
      await writer.abort();
    },
  };
}
