/**
 * Blocks of a WiredTiger file, as WiredTiger 10 and 11 write them (block_addr.c, block_read.c).
 *
 *   0   28   page header: …  20 u32 entries or bytes · 24 u8 type · 25 u8 flags · 27 u8 version
 *  28   12   block header: 28 u32 bytes on disk · 32 u32 CRC-32C of the block with this field zero · 36 u8 flags
 *  40    …   the page
 *
 * An address is three packed integers: offset / allocation size − 1, bytes / allocation size, checksum. Nothing that is not
 * exactly as expected is believed: the answer then is undefined.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32c } from './crc32c.ts';
import { unpackUint, type Cursor } from './integers.ts';

export type BlockAddress = { readonly offset: number; readonly bytes: number; readonly checksum: number };

export const pageTypes = { extents: 1, overflow: 5, rowInternal: 6, rowLeaf: 7 } as const;

export type Page = { readonly type: number; readonly flags: number; readonly entries: number; readonly body: Buffer };

const pageHeaderBytes = 28;
const headBytes = 40;
const wholeBlockChecked = 0x01;
/** What is checked where the rest has a checksum of its own. */
const checkedAtLeast = 64;
/** No page or list that is worth reading is larger. */
const mostBlockBytes = 64 << 20;

/** Undefined for the address of nothing: an empty tree or list. */
export function unpackAddress(cursor: Cursor, allocationBytes: number): BlockAddress | undefined {
  const place = unpackUint(cursor);
  const size = unpackUint(cursor);
  const checksum = unpackUint(cursor);
  if (size === 0) return undefined;
  return { offset: (place + 1) * allocationBytes, bytes: size * allocationBytes, checksum };
}

/** The page at an address; undefined unless it is the one that the address was made for. */
export async function readPage(file: FileHandle, address: BlockAddress): Promise<Page | undefined> {
  if (address.bytes < headBytes || address.bytes > mostBlockBytes) return undefined;
  const block = Buffer.alloc(address.bytes);
  const { bytesRead } = await file.read(block, 0, block.length, address.offset);
  if (bytesRead !== block.length || block.readUInt32LE(pageHeaderBytes) !== block.length) return undefined;
  const checksum = block.readUInt32LE(pageHeaderBytes + 4);
  block.writeUInt32LE(0, pageHeaderBytes + 4);
  const checked = (block[pageHeaderBytes + 8]! & wholeBlockChecked) === 0 ? checkedAtLeast : block.length;
  if (checksum !== address.checksum || crc32c(block.subarray(0, checked)) !== checksum) return undefined;
  return { type: block[24]!, flags: block[25]!, entries: block.readUInt32LE(20), body: block.subarray(headBytes) };
}
