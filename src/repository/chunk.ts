/**
 * A chunk: up to 1 MiB of a file, at a multiple of 1 MiB, in frames of 64 KiB.
 *
 * A frame is compressed, encrypted and verified alone, so that 4 KiB can be read for the price of 64 and a chunk that
 * changed in one place stores one frame. The chunk's id is a keyed hash over its size and the hashes of its frames: who
 * knows the id and has a header can tell whether the header is the right one, and then each frame by its own hash.
 *
 * The header is stored encrypted, bound to the id:
 *
 *    0   1   form, 1
 *    1   4   bytes of the chunk
 *    5   1   number of other packs, p (0 to 16)
 *    6  16p  their ids
 *    …  41   for each frame:  1  how: 0 hole, 1 as it is, 2 zstd
 *                             1  where: 0 this pack, n the n-th other pack
 *                             4  offset in the pack
 *                             3  bytes there, tag included
 *                            32  BLAKE3 of the plain frame
 *
 * A hole is a frame of zeros; it has no bytes anywhere. A chunk of holes has the id 00…00 and is not stored at all.
 * References are flat: they name the pack that holds the bytes, never a chunk that refers on.
 */
import { blake3, Blake3Hasher } from '@napi-rs/blake-hash';

export const frameBytes = 1 << 16;
export const framesPerChunk = 16;
export const chunkBytes = frameBytes * framesPerChunk;
export const idBytes = 32;
export const packIdBytes = 16;

/** Hex, 64 digits. */
export type ChunkId = string;
export const holeId: ChunkId = '0'.repeat(2 * idBytes);

export type ByteRange = { readonly from: number; readonly bytes: number };
export type FrameHow = 'hole' | 'plain' | 'zstd';
/** Where a frame's bytes are. `pack` is undefined while it is the pack that the header is in. */
export type Frame = { readonly how: FrameHow; readonly pack: string | undefined; readonly offset: number; readonly bytes: number; readonly hash: Buffer };
export type ChunkHeader = { readonly bytes: number; readonly frames: readonly Frame[] };

const hows: readonly FrameHow[] = ['hole', 'plain', 'zstd'];
const form = 1;
const fixedBytes = 6;
const frameEntryBytes = 41;

export const zeroFrame = Buffer.alloc(frameBytes);
export const zeroHash = blake3(zeroFrame);
const noHash = Buffer.alloc(idBytes);

export function frameCount(bytes: number): number {
  return Math.ceil(bytes / frameBytes);
}

/** Bytes of a chunk's `index`-th frame: 64 KiB but for the last one of a file. */
export function frameLength(chunkLength: number, index: number): number {
  return Math.min(frameBytes, chunkLength - index * frameBytes);
}

/** The hash of a plain frame; of a frame of zeros, whatever its length, 32 zeros. */
export function hashFrame(plain: Buffer): Buffer {
  const hash = blake3(plain);
  if (plain.length === frameBytes) return hash.equals(zeroHash) ? noHash : hash;
  return plain.equals(zeroFrame.subarray(0, plain.length)) ? noHash : hash;
}

export function isHole(hash: Uint8Array): boolean {
  return noHash.equals(hash);
}

/** `hashes` are the frames' hashes, one behind the other. */
export function chunkIdOf(key: Buffer, bytes: number, hashes: Buffer): ChunkId {
  if (hashes.every((byte) => byte === 0)) return holeId;
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes);
  return Blake3Hasher.newKeyed(key).update(size).update(hashes).digestBuffer().toString('hex');
}

export function hashesOf(header: ChunkHeader): Buffer {
  return Buffer.concat(header.frames.map((frame) => frame.hash));
}

export function encodeHeader(header: ChunkHeader): Buffer {
  const others = [...new Set(header.frames.flatMap((frame) => (frame.how === 'hole' || frame.pack === undefined ? [] : [frame.pack])))];
  const out = Buffer.alloc(fixedBytes + others.length * packIdBytes + header.frames.length * frameEntryBytes);
  out[0] = form;
  out.writeUInt32LE(header.bytes, 1);
  out[5] = others.length;
  for (const [index, pack] of others.entries()) out.write(pack, fixedBytes + index * packIdBytes, 'hex');
  let at = fixedBytes + others.length * packIdBytes;
  for (const frame of header.frames) {
    out[at] = hows.indexOf(frame.how);
    if (frame.how !== 'hole') {
      out[at + 1] = frame.pack === undefined ? 0 : others.indexOf(frame.pack) + 1;
      out.writeUInt32LE(frame.offset, at + 2);
      out.writeUIntLE(frame.bytes, at + 6, 3);
      frame.hash.copy(out, at + 9);
    }
    at += frameEntryBytes;
  }
  return out;
}

/**
 * How many other packs a header refers to, told from its length alone: 41 and 16 have no common factor, so a length
 * belongs to one number of frames (1 to 16) and one of packs.
 */
export function otherPacks(headerBytes: number): number {
  const rest = headerBytes - fixedBytes;
  for (let frames = 1; frames <= framesPerChunk; frames++) {
    const packs = (rest - frames * frameEntryBytes) / packIdBytes;
    if (Number.isInteger(packs) && packs >= 0) return packs;
  }
  return 0;
}

/** Undefined when the bytes are no header. Whether it is the header of a given chunk, `chunkIdOf` tells. */
export function decodeHeader(bytes: Buffer): ChunkHeader | undefined {
  if (bytes.length < fixedBytes || bytes[0] !== form) return undefined;
  const length = bytes.readUInt32LE(1);
  const count = frameCount(length);
  const others = bytes[5]!;
  if (length > chunkBytes || bytes.length !== fixedBytes + others * packIdBytes + count * frameEntryBytes) return undefined;
  const packs = Array.from({ length: others }, (_, index) => bytes.toString('hex', fixedBytes + index * packIdBytes, fixedBytes + (index + 1) * packIdBytes));
  const frames: Frame[] = [];
  for (let at = fixedBytes + others * packIdBytes; at < bytes.length; at += frameEntryBytes) {
    const how = hows[bytes[at]!];
    const where = bytes[at + 1]!;
    if (how === undefined || where > others) return undefined;
    const hash = bytes.subarray(at + 9, at + frameEntryBytes);
    frames.push({ how, pack: where === 0 ? undefined : packs[where - 1], offset: bytes.readUInt32LE(at + 2), bytes: bytes.readUIntLE(at + 6, 3), hash });
  }
  return { bytes: length, frames };
}
