/**
 * Chunks as plain bytes, on demand: headers and plain frames are kept, the most recently used ones.
 *
 * Nothing is handed out that was not proved: a header by the chunk's id, a frame by its hash in the header. A pack that is
 * missing may have been swept, so the index is read again once and other places of the chunk are tried; what is left then
 * is a failure that names the chunk. A place whose header or frames are damaged is passed by from then on, as long as the
 * chunk has another one.
 */
import { isFailure } from '../base/failure.ts';
import { frameBytes, frameCount, frameLength, holeId, otherPacks, zeroFrame, type ChunkHeader, type ChunkId, type Frame } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import { chunkMissing, frameDamaged, packDamaged, packMissing, storageFailed } from './failures.ts';
import { openFrame } from './frame-codec.ts';
import { tagBytes, type ArchiveKeys } from './keys.ts';
import { openRecent } from './recent.ts';
import type { PackStore } from './pack-store.ts';

export type LocatedChunk = { readonly pack: string; readonly header: ChunkHeader };

export type PlainFrames = {
  /** Where a chunk is, with its header. */
  locate(id: ChunkId): Promise<LocatedChunk>;
  /** Bytes [from, from + bytes) of a chunk that is `length` long, into `to`. */
  read(id: ChunkId, length: number, from: number, bytes: number, to: Buffer): Promise<void>;
  readChunk(id: ChunkId, length: number): Promise<Buffer>;
  /** The plain frames `wanted` of a chunk, each at its number; those that are holes are left out. Nothing of them is kept. */
  readFrames(id: ChunkId, wanted: readonly number[]): Promise<readonly (Buffer | undefined)[]>;
  /** Runs `work` on a chunk's place; again on another one when a pack turns out to be gone, or what is there damaged. */
  retrying<T>(id: ChunkId, work: (chunk: LocatedChunk) => Promise<T>): Promise<T>;
};

const headersKept = 8192;

/** `freshen`: before the index is read again, whatever makes lists new enough. */
export function plainFrames(parts: { index: ChunkIndex; packs: PackStore; keys: ArchiveKeys; freshen?: () => Promise<void> }, cacheBytes: number): PlainFrames {
  const { index, packs, keys } = parts;
  const headers = openRecent<Promise<LocatedChunk>>(headersKept);
  const frames = openRecent<Promise<Buffer>>(Math.max(framesAtLeast, Math.floor(cacheBytes / frameBytes)));
  const gone = new Set<string>();
  /** Places of chunks where something is damaged, by chunk and pack. */
  const damaged = new Map<string, Error>();

  const search = async (id: ChunkId): Promise<LocatedChunk> => {
    let failed: Error | undefined;
    const passedBy: string[] = [];
    for await (const place of index.candidates(id)) {
      if (gone.has(place.pack)) continue;
      const key = `${id} ${place.pack}`;
      const known = damaged.get(key);
      if (known !== undefined) {
        failed ??= known;
        passedBy.push(key);
        continue;
      }
      try {
        const header = await packs.readHeader(id, place);
        if (otherPacks(place.bytes - tagBytes) === 0 || header.frames.every((frame) => frame.pack === undefined || !gone.has(frame.pack))) return { pack: place.pack, header };
      } catch (error) {
        noteMissing(error);
        failed ??= error as Error;
      }
    }
    // Nothing else is left: the next caller tries them again, the disk may be back.
    for (const key of passedBy) damaged.delete(key);
    throw failed ?? chunkMissing({ chunk: id });
  };
  const noteMissing = (error: unknown): void => {
    if (!isFailure(error)) throw error;
    if (error.code === packMissing.code) gone.add(String(error.details['pack']));
  };
  const isDamage = (error: unknown): error is Error => isFailure(error, frameDamaged) || isFailure(error, packDamaged) || isFailure(error, storageFailed);
  const isLost = (error: unknown): boolean => isFailure(error, packMissing) || isFailure(error, chunkMissing);

  let lookedAgain: Promise<void> | undefined;
  const lookAgain = async (): Promise<void> => {
    lookedAgain ??= (async () => {
      await parts.freshen?.();
      await index.reload();
      await index.coverPacks();
    })().finally(() => (lookedAgain = undefined));
    await lookedAgain;
  };

  const locate = async (id: ChunkId): Promise<LocatedChunk> => {
    const known = headers.get(id);
    if (known !== undefined) return await known;
    const fresh = search(id).catch(async (error: unknown) => {
      if (!isLost(error)) throw error;
      await lookAgain();
      return await search(id);
    });
    headers.set(id, fresh);
    fresh.catch(() => headers.delete(id));
    return await fresh;
  };

  const retrying = async <T>(id: ChunkId, work: (chunk: LocatedChunk) => Promise<T>): Promise<T> => {
    for (let again = false; ; ) {
      const chunk = await locate(id);
      try {
        return await work(chunk);
      } catch (error) {
        headers.delete(id);
        if (isDamage(error)) {
          damaged.set(`${id} ${chunk.pack}`, error);
        } else {
          if (!isLost(error) || again) throw error;
          again = true;
          noteMissing(error);
          await lookAgain();
        }
      }
    }
  };

  /** Reads the frames `wanted` of a chunk; those that lie together in a pack with one read. */
  const readRun = async (id: ChunkId, chunk: LocatedChunk, wanted: readonly number[]): Promise<Buffer[]> => {
    const plain: Buffer[] = [];
    for (const run of runsOf(chunk, wanted)) {
      const sealed = await packs.readFrames(run.pack, run.offset, run.bytes, id);
      const key = keys.pack(run.pack);
      for (const { at, frame } of run.frames) {
        const to = Buffer.allocUnsafeSlow(frameLength(chunk.header.bytes, at));
        const from = frame.offset - run.offset;
        const isRight = openFrame({ how: frame.how as 'plain' | 'zstd', offset: frame.offset, sealed: sealed.subarray(from, from + frame.bytes), hash: frame.hash }, key, to);
        if (!isRight) throw frameDamaged({ pack: run.pack, chunk: id, frame: at });
        plain[at] = to;
      }
    }
    return plain;
  };

  /** The plain frames `first` to `last`, from memory or on their way. */
  const framesOf = (id: ChunkId, first: number, last: number): Promise<Buffer>[] => {
    const got = Array.from({ length: last - first + 1 }, (_, k) => frames.get(`${id}${first + k}`));
    const wanted = got.flatMap((frame, k) => (frame === undefined ? [first + k] : []));
    if (wanted.length === 0) return got as Promise<Buffer>[];
    const all = retrying(id, async (chunk) => await readRun(id, chunk, wanted));
    return got.map((known, k) => {
      if (known !== undefined) return known;
      const one = all.then((plain) => plain[first + k] ?? zeroFrame);
      frames.set(`${id}${first + k}`, one);
      one.catch(() => frames.delete(`${id}${first + k}`));
      return one;
    });
  };

  const read = async (id: ChunkId, length: number, from: number, bytes: number, to: Buffer): Promise<void> => {
    if (id === holeId) return void to.fill(0, 0, bytes);
    const first = Math.floor(from / frameBytes);
    const last = Math.floor((from + bytes - 1) / frameBytes);
    const got = await Promise.all(framesOf(id, first, last));
    for (const [k, frame] of got.entries()) {
      const at = (first + k) * frameBytes;
      const start = Math.max(from, at);
      frame.copy(to, start - from, start - at, Math.min(from + bytes - at, frameLength(length, first + k)));
    }
  };

  return {
    locate,
    retrying,
    read,
    readFrames: async (id, wanted) => await retrying(id, async (chunk) => await readRun(id, chunk, wanted)),
    async readChunk(id, length) {
      const whole = Buffer.allocUnsafeSlow(length);
      if (id === holeId) return whole.fill(0);
      const wanted = Array.from({ length: frameCount(length) }, (_, at) => at);
      const plain = await retrying(id, async (chunk) => await readRun(id, chunk, wanted));
      for (const at of wanted) (plain[at] ?? zeroFrame).copy(whole, at * frameBytes, 0, frameLength(length, at));
      return whole;
    },
  };
}

const framesAtLeast = 32;

type Run = { readonly pack: string; readonly offset: number; bytes: number; readonly frames: { at: number; frame: Frame }[] };

/** The frames as reads: those that lie one behind the other in a pack are read together. Holes are in none. */
export function runsOf(chunk: LocatedChunk, wanted: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const at of wanted) {
    const frame = chunk.header.frames[at];
    if (frame === undefined || frame.how === 'hole') continue;
    const pack = frame.pack ?? chunk.pack;
    const last = runs.at(-1);
    if (last !== undefined && last.pack === pack && last.offset + last.bytes === frame.offset) {
      last.bytes += frame.bytes;
      last.frames.push({ at, frame });
    } else {
      runs.push({ pack, offset: frame.offset, bytes: frame.bytes, frames: [{ at, frame }] });
    }
  }
  return runs;
}
