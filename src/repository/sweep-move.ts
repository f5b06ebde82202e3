/**
 * Moves chunks out of packs that go.
 *
 * A chunk is written again with a new header: frames in a pack that goes are opened, proved, and sealed into the new
 * pack, each once however many chunks refer to it; the other frames are referred to as before. Every new pack is read back
 * before anything is deleted.
 */
import { randomId } from '../base/ids.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { frameLength, type ChunkHeader, type ChunkId, type Frame } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import { frameDamaged, packDamaged } from './failures.ts';
import { openFrame, openSealer, sealedFrameBytes } from './frame-codec.ts';
import { openMovedFrames } from './moved-frames.ts';
import { openPack, type OpenPack } from './open-pack.ts';
import type { Kept } from './sweep-marks.ts';

export type ChunkMover = {
  move(kept: Kept): Promise<void>;
  /** Of the packs that go, what was taken out of them. */
  readonly takenBytes: number;
  /** The last pack durable, read back and in the index. */
  finish(): Promise<{ bytes: number; packs: number }>;
  abort(): Promise<void>;
};

const packBytes = 64 << 20;
const mostChunks = 8192;

export function openChunkMover(parts: ArchiveParts, index: ChunkIndex, retired: ReadonlySet<string>): ChunkMover {
  const { storage, keys, names, packs } = parts;
  const seal = openSealer('balanced');
  const plain = Buffer.allocUnsafeSlow(sealedFrameBytes);
  const sealed = Buffer.allocUnsafeSlow(sealedFrameBytes);
  const moved = openMovedFrames();
  let open: OpenPack | undefined;
  let bytes = 0;
  let count = 0;
  let takenBytes = 0;

  const close = async (): Promise<void> => {
    if (open === undefined) return;
    const done = open;
    const finished = await done.finish();
    open = undefined;
    await readBack(parts, done.id, finished.bytes);
    index.add({ id: done.id, bytes: finished.bytes }, finished.places);
    bytes += finished.bytes;
    count += 1;
  };

  const moveFrame = async (id: ChunkId, at: number, length: number, frame: Frame, from: string): Promise<Frame> => {
    const known = moved.get(from, frame.offset);
    if (known !== undefined) return { ...known, hash: frame.hash, pack: known.pack === open!.id ? undefined : known.pack };
    const to = plain.subarray(0, length);
    const old = await packs.readFrames(from, frame.offset, frame.bytes, id);
    if (!openFrame({ how: frame.how as 'plain' | 'zstd', offset: frame.offset, sealed: old, hash: frame.hash }, keys.pack(from), to)) {
      throw frameDamaged({ pack: from, chunk: id, frame: at });
    }
    const offset = open!.bytes;
    const { how, bytes: size } = seal(to, open!.key, offset, sealed);
    await open!.append(offset, sealed.subarray(0, size));
    moved.set(from, frame.offset, { how, pack: open!.id, offset, bytes: size });
    takenBytes += frame.bytes;
    return { how, pack: undefined, offset, bytes: size, hash: frame.hash };
  };

  return {
    get takenBytes() {
      return takenBytes;
    },
    async move({ id, place }) {
      const header = await packs.readHeader(id, place);
      if (open !== undefined && (open.bytes >= packBytes || open.chunks >= mostChunks)) await close();
      open ??= await openPack(storage, keys, names, randomId());
      const frames: Frame[] = [];
      for (const [at, frame] of header.frames.entries()) {
        const from = frame.pack ?? place.pack;
        if (frame.how === 'hole') frames.push(frame);
        else if (retired.has(from)) frames.push(await moveFrame(id, at, frameLength(header.bytes, at), frame, from));
        else frames.push({ ...frame, pack: from });
      }
      open.addChunk(id, { bytes: header.bytes, frames } satisfies ChunkHeader);
    },
    async finish() {
      await close();
      return { bytes, packs: count };
    },
    async abort() {
      await open?.abort();
    },
  };
}

async function readBack({ packs, keys }: ArchiveParts, pack: string, bytes: number): Promise<void> {
  const trailer = await packs.readTrailer(pack, bytes);
  const plain = Buffer.allocUnsafeSlow(sealedFrameBytes);
  for (const place of trailer.places) {
    const header = trailer.header(place);
    for (const [at, frame] of header.frames.entries()) {
      if (frame.how === 'hole' || frame.pack !== undefined) continue;
      const sealed = await packs.readFrames(pack, frame.offset, frame.bytes, place.id);
      const isRight = openFrame({ how: frame.how, offset: frame.offset, sealed, hash: frame.hash }, keys.pack(pack), plain.subarray(0, frameLength(header.bytes, at)));
      if (!isRight) throw packDamaged({ pack, what: `frame ${at} of chunk ${place.id} does not read back as it was written` });
    }
  }
}
