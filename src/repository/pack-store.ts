import { isFailure } from '../base/failure.ts';
import type { ChunkHeader, ChunkId } from './chunk.ts';
import { objectMissing, objectShort, packDamaged, packMissing } from './failures.ts';
import type { ArchiveKeys } from './keys.ts';
import type { ObjectNames } from './object-names.ts';
import { decodeDirectory, decodeFooter, openHeader, packFootBytes, packHeadBytes, type HeaderPlace } from './pack-format.ts';
import { openRecent } from './recent.ts';
import type { Location } from './segment-reader.ts';
import type { Storage } from './storage/storage.ts';

/** Everything a pack says of itself but its frames. */
export type Trailer = {
  readonly pack: string;
  /** Where the frames end. */
  readonly headersAt: number;
  readonly places: readonly HeaderPlace[];
  header(place: HeaderPlace): ChunkHeader;
};

export type PackStore = {
  readTrailer(pack: string, packBytes: number): Promise<Trailer>;
  /** The header of chunk `id`, proved to be that chunk's. */
  readHeader(id: ChunkId, at: Location): Promise<ChunkHeader>;
  /** Sealed bytes of a pack: of one frame, or of several that lie together. */
  readFrames(pack: string, from: number, bytes: number, chunk: ChunkId): Promise<Uint8Array>;
};

/** Most packs of an ordinary size have their trailer in these last bytes; the others cost a second read. */
const trailerGuess = 128 << 10;

/** A pack's headers lie together: who wants one soon wants its neighbours, and one read brings them. */
const blockBytes = 128 << 10;
const blockStep = blockBytes / 2;
const blocksKept = 64;

export function packStore(storage: Storage, keys: ArchiveKeys, names: ObjectNames): PackStore {
  const read = async (pack: string, from: number, bytes: number, chunk: ChunkId): Promise<Buffer> => {
    try {
      const got = await storage.read(names.pack(pack), { from, bytes });
      return Buffer.from(got.buffer, got.byteOffset, got.length);
    } catch (error) {
      if (isFailure(error, objectMissing)) throw packMissing({ pack, chunk }, error);
      if (isFailure(error, objectShort)) throw packDamaged({ pack, what: 'it is shorter than it was' }, error);
      throw error;
    }
  };

  const blocks = openRecent<Promise<Buffer>>(blocksKept);
  const blockAt = async (pack: string, from: number, bytes: number, chunk: ChunkId): Promise<Buffer> => {
    const name = `${pack} ${from}`;
    const known = blocks.get(name);
    if (known !== undefined) return await known;
    const fresh = read(pack, from, bytes, chunk);
    blocks.set(name, fresh);
    fresh.catch(() => blocks.delete(name));
    return await fresh;
  };
  const sealedHeader = async (id: ChunkId, { pack, packBytes, offset, bytes }: Location): Promise<Buffer> => {
    const from = offset - (offset % blockStep);
    const to = Math.min(packBytes, from + blockBytes);
    if (offset + bytes > to) return await read(pack, offset, bytes, id);
    const block = await blockAt(pack, from, to - from, id).catch((error: unknown) => {
      if (!isFailure(error, packDamaged)) throw error;
      // Of a pack that was cut off, the header may still be there.
      return undefined;
    });
    return block === undefined ? await read(pack, offset, bytes, id) : block.subarray(offset - from, offset - from + bytes);
  };

  return {
    async readTrailer(pack, packBytes) {
      if (packBytes < packHeadBytes + packFootBytes) throw packDamaged({ pack, what: 'it is too short' });
      const guess = Math.min(packBytes, trailerGuess);
      let tail = await read(pack, packBytes - guess, guess, '');
      const footer = decodeFooter(pack, tail.subarray(tail.length - packFootBytes), packBytes);
      const wanted = packBytes - footer.headersAt;
      tail = wanted <= guess ? tail.subarray(tail.length - wanted) : await read(pack, footer.headersAt, wanted, '');
      const directoryFrom = footer.directoryAt - footer.headersAt;
      const places = decodeDirectory(keys, pack, footer, tail.subarray(directoryFrom, directoryFrom + footer.directoryBytes));
      for (const { offset, bytes } of places) {
        if (offset < footer.headersAt || offset + bytes > footer.directoryAt) throw packDamaged({ pack, what: 'its directory points outside' });
      }
      const headers = tail;
      return {
        pack,
        headersAt: footer.headersAt,
        places,
        header: (place) => openHeader(keys, pack, place, headers.subarray(place.offset - footer.headersAt, place.offset - footer.headersAt + place.bytes)),
      };
    },
    async readHeader(id, at) {
      const sealed = await sealedHeader(id, at);
      return openHeader(keys, at.pack, { id, offset: at.offset, bytes: at.bytes }, sealed);
    },
    readFrames: async (pack, from, bytes, chunk) => await read(pack, from, bytes, chunk),
  };
}
