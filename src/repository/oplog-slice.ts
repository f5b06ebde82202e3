/**
 * An oplog slice: the entries of (after, through], in blocks that are opened one by one.
 *
 *   0    8   "TMOPLG1\n"
 *   8   16   salt: the slice's key is derived from the archive's key and this
 *  24    4   bytes of the sealed header
 *  28    …   header: zstd of JSON, AES-256-GCM, nonce 0, bound to the slice's name
 *   …    …   blocks, about 1 MiB of entries each: zstd (or as it is, when that is no longer), AES-256-GCM, nonce = number
 *            of the block from 1
 *
 * The header says after and through with their terms, the hash of the slice before (`previous`), and for each block first
 * and last time, entries, place, size and the BLAKE3 of its plain bytes. The hash of a slice is the BLAKE3 of its plain
 * header, so it stands for every byte of the slice and of all before it. The first slice's `previous` is the hash of the
 * chain's start.
 *
 * A merged slice stands in the place of consecutive ones (docs/design/oplog-merging.md). Its header says besides what the hash of
 * the last of them is (`end`), which is its own hash then, because that is what the next slice carries. Its name says that it
 * is one, and `end` counts in no other: such names nobody puts over a data channel.
 */
import { randomBytes } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { blake3 } from '@napi-rs/blake-hash';
import { timeFromKey, timeKey, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { openCompressor, openDecompressor } from '../base/native.ts';
import { oplogDamaged } from './failures.ts';
import { countedNonce, decrypt, encrypt, tagBytes, type ArchiveKeys } from './keys.ts';
import { dayOf, lastPart, mergedSuffix, type ObjectNames } from './object-names.ts';

const magic = Buffer.from('TMOPLG1\n');
const saltBytes = 16;
export const sliceHeadBytes = magic.length + saltBytes + 4;
const blockBytes = 1 << 20;

/** Kept for the life of the process: native contexts are not given back. */
const compress = openCompressor(3);
const decompress = openDecompressor();

export type SliceBlock = {
  readonly first: Optime;
  readonly last: Optime;
  readonly count: number;
  readonly offset: number;
  readonly bytes: number;
  readonly plainBytes: number;
  readonly zstd: boolean;
  /** Hex. */
  readonly hash: string;
};
export type SliceHeader = { readonly after: Optime; readonly through: Optime; readonly previous: string; readonly blocks: readonly SliceBlock[]; readonly end?: string };

/** Consecutive oplog entries as the database gave them: concatenated BSON documents, byte for byte. */
export type OplogBatch = { readonly first: Optime; readonly last: Optime; readonly count: number; readonly bytes: Uint8Array };

/** `isCut`: no slice, but what stands in the place of slices that went (oplog-cuts.ts). */
export type SliceName = { readonly name: string; readonly after: ClusterTime; readonly through: ClusterTime; readonly bytes: number; readonly isCut: boolean; readonly isMerged: boolean };

export function sliceName(names: ObjectNames, chain: string, after: ClusterTime, through: ClusterTime): string {
  return `${names.day(chain, dayOf(after.t))}${timeKey(after)}-${timeKey(through)}`;
}

export function mergedName(names: ObjectNames, chain: string, after: ClusterTime, through: ClusterTime): string {
  return `${sliceName(names, chain, after, through)}${mergedSuffix}`;
}

export function parseSliceName(name: string, bytes: number): SliceName | undefined {
  const match = /^sets\/[^/]+\/oplog\/[^/]+\/(?:slices\/[^/]+|(cuts))\/([0-9a-f]{16})-([0-9a-f]{16})(-merged)?$/.exec(name);
  if (match === null || (match[1] !== undefined && match[4] !== undefined)) return undefined;
  return { name, after: timeFromKey(match[2]!), through: timeFromKey(match[3]!), bytes, isCut: match[1] !== undefined, isMerged: match[4] !== undefined };
}

export type SliceEncoder = {
  /** Joined with others to blocks of about 1 MiB; a batch is never cut. */
  add(batch: OplogBatch): void;
  /** Sealed so far. */
  readonly bytes: number;
  finish(name: string, after: Optime, previous: string, end?: string): { bytes: Buffer; hash: string; through: Optime };
};

/** Holds what is sealed so far, and one block in the open. */
export function openSliceEncoder(keys: ArchiveKeys): SliceEncoder {
  const salt = randomBytes(saltBytes);
  const key = keys.slice(salt);
  const sealed: Buffer[] = [];
  const blocks: SliceBlock[] = [];
  let open: OplogBatch[] = [];
  let [size, offset] = [0, 0];
  const close = (): void => {
    if (open.length === 0) return;
    const plain = Buffer.concat(open.map((batch) => batch.bytes));
    const packed = Buffer.allocUnsafe(plain.length);
    const packedBytes = compress(plain, packed);
    const body = packedBytes < 0 ? plain : packed.subarray(0, packedBytes);
    const bytes = body.length + tagBytes;
    const count = open.reduce((sum, batch) => sum + batch.count, 0);
    blocks.push({ first: open[0]!.first, last: open.at(-1)!.last, count, offset, bytes, plainBytes: plain.length, zstd: packedBytes >= 0, hash: blake3(plain).toString('hex') });
    sealed.push(encrypt(key, countedNonce(blocks.length), body));
    offset += bytes;
    open = [];
    size = 0;
  };
  return {
    get bytes() {
      return offset;
    },
    add(batch) {
      if (size > 0 && size + batch.bytes.length > blockBytes) close();
      open.push(batch);
      size += batch.bytes.length;
    },
    finish(name, after, previous, end) {
      close();
      const through = blocks.at(-1)?.last ?? after;
      const header: SliceHeader = { after, through, previous, blocks, ...(end !== undefined && { end }) };
      const json = Buffer.from(JSON.stringify(header));
      return { bytes: Buffer.concat([sealHead(key, salt, name, json), ...sealed]), hash: end ?? blake3(json).toString('hex'), through };
    },
  };
}

export function encodeSlice(keys: ArchiveKeys, name: string, after: Optime, previous: string, batches: readonly OplogBatch[]): { bytes: Buffer; hash: string; through: Optime } {
  const encoder = openSliceEncoder(keys);
  for (const batch of batches) encoder.add(batch);
  return encoder.finish(name, after, previous);
}

/** A slice of a plain header and its blocks as they are compressed. Under another archive's key it has the same hash. */
export function sealSlice(keys: ArchiveKeys, name: string, json: Buffer, bodies: readonly Buffer[]): Buffer {
  const salt = randomBytes(saltBytes);
  const key = keys.slice(salt);
  return Buffer.concat([sealHead(key, salt, name, json), ...bodies.map((body, index) => encrypt(key, countedNonce(index + 1), body))]);
}

function sealHead(key: Uint8Array, salt: Buffer, name: string, json: Buffer): Buffer {
  const header = encrypt(key, countedNonce(0), zstdCompressSync(json), Buffer.from(name));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(header.length);
  return Buffer.concat([magic, salt, size, header]);
}

/** Slices without blocks are never written, so a head is at least this long and most are read at once. */
export const headGuessBytes = 4096;

/** `json` is the plain header; `hash` is what the next slice carries. */
export type OpenedSlice = { readonly header: SliceHeader; readonly json: Buffer; readonly hash: string; readonly bodiesAt: number; readonly key: Uint8Array };

/** The bytes that `openSliceHeader` needs, told from the first 28. */
export function sliceHeaderBytes(chain: string, name: string, head: Buffer): number {
  if (head.length < sliceHeadBytes || !head.subarray(0, magic.length).equals(magic)) throw oplogDamaged({ chain, slice: lastPart(name), what: 'it does not start as it must' });
  return sliceHeadBytes + head.readUInt32LE(magic.length + saltBytes);
}

export function openSliceHeader(keys: ArchiveKeys, chain: string, name: string, bytes: Buffer): OpenedSlice {
  const bodiesAt = sliceHeaderBytes(chain, name, bytes);
  const key = keys.slice(bytes.subarray(magic.length, magic.length + saltBytes));
  const plain = decrypt(key, countedNonce(0), bytes.subarray(sliceHeadBytes, bodiesAt), Buffer.from(name));
  if (plain === undefined) throw oplogDamaged({ chain, slice: lastPart(name), what: 'its header is not what was written' });
  const json = zstdDecompressSync(plain);
  const header = JSON.parse(json.toString()) as SliceHeader;
  const end = name.endsWith(mergedSuffix) ? header.end : undefined;
  return { header, json, hash: end ?? blake3(json).toString('hex'), bodiesAt, key };
}

/** The plain entries of a block, and the compressed ones as they were sealed. */
export function openSliceBody(slice: OpenedSlice, chain: string, name: string, index: number, sealed: Uint8Array): { body: Buffer; plain: Buffer } {
  const block = slice.header.blocks[index]!;
  const wrong = (): Error => oplogDamaged({ chain, slice: lastPart(name), what: `block ${index} is not what was written` });
  const body = decrypt(slice.key, countedNonce(index + 1), sealed);
  if (body === undefined) throw wrong();
  let plain = body;
  if (block.zstd) {
    plain = Buffer.allocUnsafeSlow(block.plainBytes);
    if (decompress(body, plain) !== plain.length) throw wrong();
  }
  if (plain.length !== block.plainBytes || blake3(plain).toString('hex') !== block.hash) throw wrong();
  return { body, plain };
}

export function openSliceBlock(slice: OpenedSlice, chain: string, name: string, index: number, sealed: Uint8Array): Buffer {
  return openSliceBody(slice, chain, name, index, sealed).plain;
}
