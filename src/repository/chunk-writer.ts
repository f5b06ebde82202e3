/**
 * The way of a chunk into the archive.
 *
 *   read ─▶ hashed ─▶ id ─┬─ hole: nothing to store
 *                         ├─ in the archive, in a pack that stays, and so are the frames it refers to: nothing to store
 *                         ├─ on its way already (same id, this session)
 *                         └─ new: frames that the base chunk has are referred to, the others sealed ─▶ appended ─▶ in a pack
 *
 * `store` answers with the id as soon as it is known and goes on behind it; `settle` waits for all. A failure on the way
 * ends the session: what is in a finished pack stays for the next one.
 *
 * A chunk of another archive has its hashes with it, so its id is known, and what is new of it, before anything of it is read.
 *
 * References go to finished packs only. A pack that refers to one that a crash then swallows would be taken up by the
 * next run and believed.
 */
import { isFailure } from '../base/failure.ts';
import { chunkIdOf, frameCount, frameBytes, frameLength, hashFrame, holeId, idBytes, otherPacks, type ByteRange, type ChunkHeader, type ChunkId, type Frame } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import { tagBytes, type ArchiveKeys } from './keys.ts';
import type { PackLine } from './pack-line.ts';
import type { PackStore } from './pack-store.ts';
import type { Location } from './segment-reader.ts';
import type { SealedChunk, StorePool, StoreSlot } from './store-pool.ts';

export type ChunkSource =
  /** `changed` is a bit for each frame that may differ from `base`; `free` are ranges of the chunk that are taken for zeros. */
  | { kind: 'file'; path: string; fd: number; from: number; bytes: number; base: ChunkId | undefined; changed: number; free: readonly ByteRange[] }
  | { kind: 'memory'; bytes: Buffer }
  | ({ kind: 'copied'; base: ChunkId | undefined } & CopiedChunk);

/** A chunk of another archive: what its header says, proved, and its plain frames for the asking, each proved by its hash. */
export type CopiedChunk = { readonly bytes: number; readonly hashes: Buffer; read(frames: readonly number[]): Promise<readonly (Buffer | undefined)[]> };

export type WriterCounts = { processed: number; read: number; transferred: number; stored: number };

export type ChunkWriter = {
  store(source: ChunkSource): Promise<ChunkId>;
  /** Whether a chunk can be taken over as it is: it is here, and all it refers to stays. */
  has(id: ChunkId): Promise<boolean>;
  settle(): Promise<void>;
  /** Every older pack that what was stored may need: rather some more than one too few. */
  readonly builtOn: ReadonlySet<string>;
};

type Parts = {
  readonly keys: ArchiveKeys;
  readonly index: ChunkIndex;
  readonly packs: PackStore;
  readonly line: PackLine;
  readonly pool: StorePool;
  /** Packs that nothing new may refer to: a sweep is about to delete them, or a check found damage in them. */
  readonly avoided: ReadonlySet<string>;
  readonly counts: WriterCounts;
  readonly failed: () => Error | undefined;
  readonly fail: (error: unknown) => void;
};

const allFrames = (bytes: number): number => (1 << frameCount(bytes)) - 1;

type Base = { readonly pack: string | undefined; readonly header: ChunkHeader };

export function openChunkWriter(parts: Parts): ChunkWriter {
  const { keys, index, packs, line, pool, counts } = parts;
  const coming = new Set<ChunkId>();
  const background = new Set<Promise<void>>();

  const staying = new Set<string>();
  const stays = (pack: string): boolean => {
    if (staying.has(pack)) return true;
    if (!index.hasPack(pack) || parts.avoided.has(pack)) return false;
    staying.add(pack);
    return true;
  };

  /** The header of a chunk in the archive whose frames all stay. */
  const locate = async (id: ChunkId, needHeader: boolean): Promise<Base | Location | undefined> => {
    for await (const place of index.candidates(id)) {
      if (!stays(place.pack)) continue;
      if (!needHeader && otherPacks(place.bytes - tagBytes) === 0) return place;
      const header = await packs.readHeader(id, place).catch(ignoreDamage);
      if (header !== undefined && header.frames.every((frame) => frame.pack === undefined || stays(frame.pack))) return { pack: place.pack, header };
    }
    return undefined;
  };

  /** A chunk to compare with. Its frames may be referred to where `pack` is known: that pack is finished. */
  const baseOf = async (id: ChunkId | undefined): Promise<Base | undefined> => {
    if (id === undefined || id === holeId) return undefined;
    const open = line.find(id);
    if (open !== undefined) return { pack: undefined, header: open.header };
    for await (const place of index.candidates(id)) {
      if (!index.hasPack(place.pack)) continue;
      const header = await packs.readHeader(id, place).catch(ignoreDamage);
      if (header !== undefined) return { pack: place.pack, header };
    }
    return undefined;
  };

  /** The base's frame as a reference, if it may be referred to. */
  const reference = (base: Base | undefined, at: number, bytes: number): Frame | undefined => {
    const frame = base?.header.frames[at];
    if (base === undefined || frame === undefined || frameLength(base.header.bytes, at) !== frameLength(bytes, at)) return undefined;
    if (frame.how === 'hole') return frame;
    const pack = frame.pack ?? base.pack;
    return pack !== undefined && stays(pack) ? { ...frame, pack } : undefined;
  };

  const hashFile = async (slot: StoreSlot, source: Extract<ChunkSource, { kind: 'file' }>, base: Base | undefined): Promise<{ hashes: Buffer; inSlot: number }> => {
    const all = allFrames(source.bytes);
    let wanted = source.changed & all;
    for (let frame = 0; frame < frameCount(source.bytes); frame++) {
      if (reference(base, frame, source.bytes) === undefined) wanted |= 1 << frame;
    }
    const { hashes, read } = await slot.hash({ ...source, wanted });
    counts.read += read;
    for (let frame = 0; frame < frameCount(source.bytes); frame++) {
      if ((wanted & (1 << frame)) === 0) base!.header.frames[frame]!.hash.copy(hashes, frame * idBytes);
    }
    return { hashes, inSlot: wanted };
  };

  const hashMemory = (slot: StoreSlot, bytes: Buffer): Buffer => {
    bytes.copy(slot.plain);
    const hashes: Buffer[] = [];
    for (let frame = 0; frame < frameCount(bytes.length); frame++) {
      const at = frame * frameBytes;
      hashes.push(hashFrame(bytes.subarray(at, at + frameLength(bytes.length, frame))));
    }
    return Buffer.concat(hashes);
  };

  /** Seals what is new and puts the chunk into the slot's pack. Gives the slot back. */
  const bring = async (slot: StoreSlot, id: ChunkId, bytes: number, hashes: Buffer, known: readonly (Frame | undefined)[]): Promise<void> => {
    const wanted = known.reduce((mask, frame, at) => (frame === undefined ? mask | (1 << at) : mask), 0);
    const { filling, ordered } = await pool.stages.timed('write', async () => await line.enter(slot, async () => await slot.seal(bytes, wanted)));
    try {
      const sealed = await ordered;
      await pool.stages.timed('write', async () => await filling.pack.append(sealed.offset, sealed.bytes));
      counts.transferred += sealed.bytes.length;
      filling.pack.addChunk(id, { bytes, frames: placed(known, hashes, sealed) });
    } finally {
      line.leave(filling);
    }
  };

  const isHere = async (id: ChunkId): Promise<boolean> => id === holeId || coming.has(id) || line.find(id) !== undefined || (await locate(id, false)) !== undefined;

  /** Goes on behind the answer, and gives the slot back. */
  const bringLater = (slot: StoreSlot, id: ChunkId, bytes: number, hashes: Buffer, known: readonly (Frame | undefined)[]): void => {
    const work = bring(slot, id, bytes, hashes, known)
      .catch((error: unknown) => parts.fail(error))
      .finally(() => {
        coming.delete(id);
        background.delete(work);
        slot.release();
      });
    background.add(work);
  };

  const storeCopied = async ({ bytes, hashes, base: baseId, read }: Extract<ChunkSource, { kind: 'copied' }>): Promise<ChunkId> => {
    const id = chunkIdOf(keys.chunkId, bytes, hashes);
    if ((await isHere(id)) || coming.has(id)) return id;
    coming.add(id);
    const slot = await pool.acquire();
    try {
      const base = await baseOf(baseId);
      const known = knownFrames(hashes, bytes, (frame) => reference(base, frame, bytes));
      const wanted = known.flatMap((frame, at) => (frame === undefined ? [at] : []));
      for (const [at, plain] of (await pool.stages.timed('read', async () => await read(wanted))).entries()) {
        if (plain === undefined) continue;
        counts.read += plain.copy(slot.plain, at * frameBytes);
      }
      bringLater(slot, id, bytes, hashes, known);
      return id;
    } catch (error) {
      // Others may have been told that it comes.
      parts.fail(error);
      slot.release();
      throw error;
    }
  };

  const store = async (source: ChunkSource): Promise<ChunkId> => {
    if (source.kind === 'copied') return await storeCopied(source);
    const slot = await pool.acquire();
    let lent = true;
    const giveBack = (): void => {
      if (lent) slot.release();
      lent = false;
    };
    try {
      const bytes = source.kind === 'file' ? source.bytes : source.bytes.length;
      const isPartial = source.kind === 'file' && source.base !== undefined && source.changed !== -1;
      let base = isPartial ? await baseOf(source.base) : undefined;
      const { hashes, inSlot } = source.kind === 'file' ? await hashFile(slot, source, base) : { hashes: hashMemory(slot, source.bytes), inSlot: -1 };
      const id = chunkIdOf(keys.chunkId, bytes, hashes);
      if ((await isHere(id)) || coming.has(id)) return id;
      coming.add(id);
      if (source.kind === 'file') base ??= await baseOf(source.base);
      const known = knownFrames(hashes, bytes, (frame) => reference(base, frame, bytes));
      if (known.some((frame, at) => frame === undefined && (inSlot & (1 << at)) === 0)) throw new Error('a frame that is to be stored was not read');
      lent = false;
      bringLater(slot, id, bytes, hashes, known);
      return id;
    } finally {
      giveBack();
    }
  };

  return {
    store,
    has: isHere,
    builtOn: staying,
    async settle() {
      while (background.size > 0) await Promise.all(background);
      const failed = parts.failed();
      if (failed !== undefined) throw failed;
    },
  };
}

/** For each frame where it is already, or undefined when it must be sealed. */
function knownFrames(hashes: Buffer, bytes: number, reference: (frame: number) => Frame | undefined): (Frame | undefined)[] {
  return Array.from({ length: frameCount(bytes) }, (_, at) => {
    const hash = hashes.subarray(at * idBytes, (at + 1) * idBytes);
    if (hash.every((byte) => byte === 0)) return { how: 'hole', pack: undefined, offset: 0, bytes: 0, hash };
    const frame = reference(at);
    return frame !== undefined && frame.how !== 'hole' && frame.hash.equals(hash) ? frame : undefined;
  });
}

function placed(known: readonly (Frame | undefined)[], hashes: Buffer, sealed: SealedChunk): Frame[] {
  const frames = [...known];
  let offset = sealed.offset;
  for (const { frame, how, bytes } of sealed.parts) {
    frames[frame] = { how, pack: undefined, offset, bytes, hash: hashes.subarray(frame * idBytes, (frame + 1) * idBytes) };
    offset += bytes;
  }
  return frames as Frame[];
}

/** A damaged base or twin is no reason not to back up: the chunk is stored whole. */
function ignoreDamage(error: unknown): undefined {
  if (isFailure(error) && /^repository\.(pack-damaged|pack-missing)$/.test(error.code)) return undefined;
  throw error;
}
