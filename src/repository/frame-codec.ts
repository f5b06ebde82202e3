/** A frame between its plain bytes and its bytes in a pack. Runs in workers as well as in the main thread. */
import { openCompressor, openDecompressor, openGcm, type CompressorTuning } from '../base/native.ts';
import { frameBytes, hashFrame } from './chunk.ts';
import { countedNonce, tagBytes } from './keys.ts';

export type Level = 'none' | 'fast' | 'balanced' | 'strong';

/**
 * What the names mean. `balanced` is Zstandard's fast strategy with matches from four bytes on: on frames of WiredTiger
 * files, which are full of short repeats, it is smaller than level 3 in the same time (docs/design/repository-format.md).
 */
const zstdLevels: Record<Exclude<Level, 'none'>, { level: number; tuning?: CompressorTuning }> = {
  fast: { level: 1 },
  balanced: { level: 3, tuning: { strategy: 1, windowLog: 17, hashLog: 15, minMatch: 4 } },
  strong: { level: 9 },
};

/** What compression must save to be worth undoing at every read. */
const leastSavedShare = 1 / 32;

/** The most room a sealed frame can need. */
export const sealedFrameBytes = frameBytes + tagBytes;

export type FrameSealer = (plain: Buffer, key: Uint8Array, offset: number, to: Buffer) => { how: 'plain' | 'zstd'; bytes: number };

/** Seals a frame for its place in a pack: `to` gets ciphertext and tag. */
export function openSealer(level: Level): FrameSealer {
  const compress = level === 'none' ? undefined : openCompressor(zstdLevels[level].level, zstdLevels[level].tuning);
  const packed = Buffer.allocUnsafeSlow(frameBytes);
  return (plain, key, offset, to) => {
    const most = Math.floor(plain.length * (1 - leastSavedShare));
    const size = compress === undefined ? -1 : compress(plain, packed.subarray(0, most));
    const body = size < 0 ? plain : packed.subarray(0, size);
    gcm.seal(key, countedNonce(offset), body, to);
    return { how: size < 0 ? 'plain' : 'zstd', bytes: body.length + tagBytes };
  };
}

export type SealedFrame = { readonly how: 'plain' | 'zstd'; readonly offset: number; readonly sealed: Uint8Array; readonly hash: Uint8Array };

/** One each for the thread, kept: native contexts are not given back. */
const gcm = openGcm();
const decompress = openDecompressor();
const opened = Buffer.allocUnsafeSlow(frameBytes);

/** Writes the plain frame into `to`, whose length is the frame's; false unless it is exactly what was stored. */
export function openFrame({ how, offset, sealed, hash }: SealedFrame, key: Uint8Array, to: Buffer): boolean {
  if (sealed.length < tagBytes || sealed.length > sealedFrameBytes || !gcm.open(key, countedNonce(offset), sealed, opened)) return false;
  const body = opened.subarray(0, sealed.length - tagBytes);
  if (how === 'zstd') {
    if (decompress(body, to) !== to.length) return false;
  } else {
    if (body.length !== to.length) return false;
    body.copy(to);
  }
  return hashFrame(to).equals(hash);
}
