/**
 * A store worker's work: reads, hashes and seals chunks, in a thread of its own (store-worker.ts) or, with none, in this one.
 *
 * It owns some slots of shared memory, each with room for a plain chunk and for its sealed frames. The main thread asks
 * for one slot at a time, never twice for the same slot before the answer:
 *
 *   hash   the wanted frames of a file region into the slot, with zeros for what is free in it → their hashes
 *   pack   from now on frames go to another pack (its key; offsets start behind its head)
 *   seal   the wanted frames of the slot, each for its place in the pack → how and how long, and where the first one is
 *
 * Orders are done in the order they come, so the bytes of a pack are sealed in the order they are appended.
 */
import { readSync } from 'node:fs';
import { frameBytes, frameCount, frameLength, hashFrame, idBytes, type ByteRange } from './chunk.ts';
import { openSealer, type Level } from './frame-codec.ts';
import { packHeadBytes } from './pack-format.ts';

export type StoreWorkerData = { readonly level: Level; readonly plain: readonly SharedArrayBuffer[]; readonly sealed: readonly SharedArrayBuffer[] };

/** `wanted` is a bit for each frame; `free` are ranges of the region, in order and apart, whose bytes count as zeros. */
export type RegionToHash = { readonly fd: number; readonly from: number; readonly bytes: number; readonly wanted: number; readonly free: readonly ByteRange[] };

export type StoreOrder =
  | ({ kind: 'hash'; slot: number } & RegionToHash)
  | { kind: 'pack'; key: Uint8Array }
  | { kind: 'seal'; slot: number; bytes: number; wanted: number };

export type SealedPart = { readonly frame: number; readonly how: 'plain' | 'zstd'; readonly bytes: number };

export type StoreAnswer =
  | { kind: 'hashed'; slot: number; hashes: Uint8Array; read: number; readMs: number; workMs: number }
  | { kind: 'sealed'; slot: number; offset: number; parts: SealedPart[]; workMs: number }
  | { kind: 'failed'; slot: number; why: string };

/** Reads as much as there is; what a file that became shorter no longer has is zeros. */
function readRegion(fd: number, to: Buffer, position: number): number {
  let done = 0;
  while (done < to.length) {
    const count = readSync(fd, to, done, to.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  to.fill(0, done);
  return done;
}

/** Does orders in the order they come. */
export function openStoreWork({ level, plain, sealed }: StoreWorkerData): (order: StoreOrder) => StoreAnswer | undefined {
  const plainSlots = plain.map((memory) => Buffer.from(memory));
  const sealedSlots = sealed.map((memory) => Buffer.from(memory));
  const seal = openSealer(level);
  let pack: { key: Uint8Array; offset: number } = { key: new Uint8Array(0), offset: packHeadBytes };

  function hashChunk(order: Extract<StoreOrder, { kind: 'hash' }>): StoreAnswer {
    const { slot, fd, from, bytes, wanted, free } = order;
    const memory = plainSlots[slot]!;
    const count = frameCount(bytes);
    const hashes = new Uint8Array(count * idBytes);
    const startedMs = performance.now();
    let [read, readMs] = [0, 0];
    for (let first = 0; first < count; first++) {
      if ((wanted & (1 << first)) === 0) continue;
      let last = first;
      while (last + 1 < count && (wanted & (1 << (last + 1))) !== 0) last += 1;
      const end = last * frameBytes + frameLength(bytes, last);
      const start = first * frameBytes;
      const readFromMs = performance.now();
      read += readRegion(fd, memory.subarray(start, end), from + start);
      readMs += performance.now() - readFromMs;
      for (const range of free) memory.fill(0, Math.max(range.from, start), Math.max(start, Math.min(range.from + range.bytes, end)));
      for (; first <= last; first++) {
        const at = first * frameBytes;
        hashes.set(hashFrame(memory.subarray(at, at + frameLength(bytes, first))), first * idBytes);
      }
    }
    return { kind: 'hashed', slot, hashes, read, readMs, workMs: performance.now() - startedMs - readMs };
  }

  function sealChunk({ slot, bytes, wanted }: Extract<StoreOrder, { kind: 'seal' }>): StoreAnswer {
    const memory = plainSlots[slot]!;
    const to = sealedSlots[slot]!;
    const offset = pack.offset;
    const startedMs = performance.now();
    const parts: SealedPart[] = [];
    let filled = 0;
    for (let frame = 0; frame < frameCount(bytes); frame++) {
      if ((wanted & (1 << frame)) === 0) continue;
      const at = frame * frameBytes;
      const part = seal(memory.subarray(at, at + frameLength(bytes, frame)), pack.key, offset + filled, to.subarray(filled));
      parts.push({ frame, ...part });
      filled += part.bytes;
    }
    pack.offset += filled;
    return { kind: 'sealed', slot, offset, parts, workMs: performance.now() - startedMs };
  }

  function obey(order: StoreOrder): StoreAnswer | undefined {
    switch (order.kind) {
      case 'hash':
        return hashChunk(order);
      case 'pack':
        pack = { key: order.key, offset: packHeadBytes };
        return undefined;
      case 'seal':
        return sealChunk(order);
    }
  }

  return (order) => {
    try {
      return obey(order);
    } catch (error) {
      return { kind: 'failed', slot: order.kind === 'pack' ? -1 : order.slot, why: error instanceof Error ? error.message : String(error) };
    }
  };
}
