/**
 * An index segment: where chunks are, sorted by id, written once.
 *
 *   0      8   "TMIDX1\n\0"
 *   8     16   segment id
 *  24      …   blocks of 96 entries, 4,048 bytes each (the last one may be shorter): AES-256-GCM under the segment's
 *              key, nonce = number of the block
 *                32  chunk id
 *                 4  the pack's number in the pack table
 *                 4  offset of the chunk's header in the pack
 *                 2  bytes of the header
 *   P      …   pack table, sealed: 16 pack id, 4 bytes of the pack; sorted by id
 *   F      …   fan-out, sealed: the first 8 bytes of each block's first id
 *   end-24  8   entries
 *   end-16  4   blocks
 *   end-12  4   packs
 *   end-8   8   "TMIXEND\n"
 *
 * Pack table and fan-out are bound to the footer and to the head. In memory stay 8 bytes for each block and 20 for each
 * pack: 41 MB for 100 million chunks in 1.6 million packs. An id is found with one read of 4 KiB in each segment.
 *
 * An id may have several entries, in one segment or in several: two writers stored it at once, or a sweep moved it. All
 * are right as long as their pack is there, so segments can be merged, lost and made again without a common state.
 */
import { idBytes, packIdBytes } from './chunk.ts';
import { indexDamaged } from './failures.ts';
import { countedNonce, decrypt, encrypt, tagBytes } from './keys.ts';
import type { StorageWriter } from './storage/storage.ts';

export const segmentMagic = Buffer.from('TMIDX1\n\0', 'latin1');
const footMagic = Buffer.from('TMIXEND\n');
export const segmentHeadBytes = segmentMagic.length + 16;
export const segmentFootBytes = 24;
export const entryBytes = idBytes + 10;
export const entriesPerBlock = 96;
export const sealedBlockBytes = entriesPerBlock * entryBytes + tagBytes;
export const packEntryBytes = packIdBytes + 4;
export const fanBytes = 8;

/** Numbers of nonces that no block reaches. */
const packTableNonce = 2 ** 40;
const fanOutNonce = 2 ** 41;
const drainBytes = 1 << 20;

export type SegmentFooter = { readonly entries: number; readonly blocks: number; readonly packs: number };

export function segmentHead(id: string): Buffer {
  return Buffer.concat([segmentMagic, Buffer.from(id, 'hex')]);
}

function encodeFooter(footer: SegmentFooter): Buffer {
  const foot = Buffer.alloc(segmentFootBytes);
  foot.writeBigUInt64LE(BigInt(footer.entries), 0);
  foot.writeUInt32LE(footer.blocks, 8);
  foot.writeUInt32LE(footer.packs, 12);
  footMagic.copy(foot, 16);
  return foot;
}

export function decodeSegmentFooter(segment: string, foot: Buffer): SegmentFooter {
  if (!foot.subarray(16).equals(footMagic)) throw indexDamaged({ segment, what: 'it does not end as it must' });
  return { entries: Number(foot.readBigUInt64LE(0)), blocks: foot.readUInt32LE(8), packs: foot.readUInt32LE(12) };
}

/** How many bytes pack table, fan-out and footer take at the end of a segment. */
export function segmentTailBytes(footer: SegmentFooter): number {
  return footer.packs * packEntryBytes + tagBytes + footer.blocks * fanBytes + tagBytes + segmentFootBytes;
}

export type SegmentTail = { readonly packTable: Buffer; readonly fanOut: Buffer };

export function decodeSegmentTail(segment: string, key: Uint8Array, footer: SegmentFooter, tail: Buffer): SegmentTail {
  const bound = Buffer.concat([segmentHead(segment), encodeFooter(footer)]);
  const packsEnd = footer.packs * packEntryBytes + tagBytes;
  const packTable = decrypt(key, countedNonce(packTableNonce), tail.subarray(0, packsEnd), bound);
  const fanOut = decrypt(key, countedNonce(fanOutNonce), tail.subarray(packsEnd, tail.length - segmentFootBytes), bound);
  if (packTable === undefined || fanOut === undefined) throw indexDamaged({ segment, what: 'its tables are not what was written' });
  return { packTable, fanOut };
}

export function openBlock(segment: string, key: Uint8Array, block: number, sealed: Uint8Array): Buffer {
  const plain = decrypt(key, countedNonce(block), sealed);
  if (plain === undefined) throw indexDamaged({ segment, what: `block ${block} is not what was written` });
  return plain;
}

/** A pack with its size, as the table has it. */
export type PackSize = { readonly id: string; readonly bytes: number };

export function encodePackTable(packs: readonly PackSize[]): Buffer {
  const sorted = [...packs].sort((a, b) => (a.id < b.id ? -1 : 1));
  const table = Buffer.alloc(sorted.length * packEntryBytes);
  for (const [index, pack] of sorted.entries()) {
    table.write(pack.id, index * packEntryBytes, 'hex');
    table.writeUInt32LE(pack.bytes, index * packEntryBytes + packIdBytes);
  }
  return table;
}

/** The number of a pack in a sorted table, or -1. */
export function packNumber(table: Buffer, id: Uint8Array): number {
  let low = 0;
  let high = table.length / packEntryBytes - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const order = table.compare(id, 0, packIdBytes, middle * packEntryBytes, middle * packEntryBytes + packIdBytes);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

export type SegmentBuilder = {
  /** Entries come in order of their ids; `id` is 32 bytes at `at`. Call `drain` now and then. */
  add(id: Buffer, at: number, pack: number, offset: number, bytes: number): void;
  /** Hands full blocks to the storage when enough of them wait. */
  drain(): Promise<void>;
  /** Durable and visible when it resolves. */
  finish(): Promise<{ entries: number; bytes: number }>;
};

/** Writes a segment whose packs are known from the start: `packTable` as `encodePackTable` makes it. */
export async function openSegmentBuilder(writer: StorageWriter, segment: string, key: Uint8Array, packTable: Buffer): Promise<SegmentBuilder> {
  let block = Buffer.alloc(entriesPerBlock * entryBytes);
  let filled = 0;
  let entries = 0;
  let written = 0;
  const fan: Buffer[] = [];
  let fanPart = Buffer.alloc(fanBytes * 4096);
  let blocks = 0;
  let waiting: Buffer[] = [segmentHead(segment)];
  let waitingBytes = segmentHeadBytes;

  const push = (bytes: Buffer): void => {
    waiting.push(bytes);
    waitingBytes += bytes.length;
  };
  const closeBlock = (): void => {
    const at = (blocks % 4096) * fanBytes;
    if (at === 0 && blocks > 0) {
      fan.push(fanPart);
      fanPart = Buffer.alloc(fanBytes * 4096);
    }
    block.copy(fanPart, at, 0, fanBytes);
    push(encrypt(key, countedNonce(blocks), block.subarray(0, filled)));
    blocks += 1;
    filled = 0;
  };
  const write = async (): Promise<void> => {
    const bytes = Buffer.concat(waiting, waitingBytes);
    waiting = [];
    waitingBytes = 0;
    written += bytes.length;
    await writer.append(bytes);
  };

  return {
    add(id, at, pack, offset, bytes) {
      id.copy(block, filled, at, at + idBytes);
      block.writeUInt32LE(pack, filled + idBytes);
      block.writeUInt32LE(offset, filled + idBytes + 4);
      block.writeUInt16LE(bytes, filled + idBytes + 8);
      filled += entryBytes;
      entries += 1;
      if (filled === block.length) closeBlock();
    },
    async drain() {
      if (waitingBytes >= drainBytes) await write();
    },
    async finish() {
      if (filled > 0) closeBlock();
      const foot = encodeFooter({ entries, blocks, packs: packTable.length / packEntryBytes });
      const bound = Buffer.concat([segmentHead(segment), foot]);
      const lastFan = fanPart.subarray(0, blocks === 0 ? 0 : (((blocks - 1) % 4096) + 1) * fanBytes);
      push(encrypt(key, countedNonce(packTableNonce), packTable, bound));
      push(encrypt(key, countedNonce(fanOutNonce), Buffer.concat([...fan, lastFan]), bound));
      push(foot);
      await write();
      block = Buffer.alloc(0);
      await writer.commit();
      return { entries, bytes: written };
    },
  };
}
