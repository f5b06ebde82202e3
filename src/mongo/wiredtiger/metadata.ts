/**
 * What WiredTiger's metadata says about its files: the turtle leads to the checkpoint of WiredTiger.wt, a row store whose
 * values are the configurations of all files, each with the address of its own checkpoint (WiredTiger 10 and 11, cell.h).
 */
import type { FileHandle } from 'node:fs/promises';
import { pageTypes, readPage, unpackAddress, unpackUint, type BlockAddress, type Cursor } from './block-file.ts';

/** Where a file's last checkpoint is: everything in the file that it needs, and where the list of what is free lies. */
export type FileCheckpoint = {
  readonly root: BlockAddress | undefined;
  readonly allocated: BlockAddress | undefined;
  readonly available: BlockAddress | undefined;
  readonly discarded: BlockAddress | undefined;
  /** The file's size at the checkpoint; what lies behind is cut off when the file is opened. */
  readonly bytes: number;
};

const cookieVersion = 1;

/** What names a file's checkpoint: allocation size and address. Short, because there is one for each of perhaps 100,000 files. */
export type CheckpointName = string & { readonly isCheckpointName: true };

/** The checkpoint in a file's configuration; undefined where there is none, or more than one. */
export function nameCheckpoint(configuration: string): CheckpointName | undefined {
  const allocation = /(?:^|,)allocation_size=(\d+)(KB|B)?(?:,|$)/.exec(configuration);
  const addresses = [...configuration.matchAll(/\baddr="([0-9a-f]*)"/g)];
  const address = addresses[0]?.[1];
  if (allocation === null || addresses.length !== 1 || address === undefined || address === '') return undefined;
  return `${Number(allocation[1]) * (allocation[2] === 'KB' ? 1024 : 1)} ${address}` as CheckpointName;
}

export function unpackCheckpoint(name: CheckpointName): FileCheckpoint | undefined {
  const [unit, address] = [Number(name.slice(0, name.indexOf(' '))), name.slice(name.indexOf(' ') + 1)];
  const cursor: Cursor = { bytes: Buffer.from(address, 'hex'), at: 1 };
  if (cursor.bytes[0] !== cookieVersion) return undefined;
  const [root, allocated, available, discarded] = [unpackAddress(cursor, unit), unpackAddress(cursor, unit), unpackAddress(cursor, unit), unpackAddress(cursor, unit)];
  return { root, allocated, available, discarded, bytes: unpackUint(cursor) };
}

/** Checkpoints by path of the file, as they are at the checkpoint that the turtle names. Undefined where anything is not as expected. */
export async function readMetadata(turtle: Buffer, metadata: FileHandle): Promise<Map<string, CheckpointName> | undefined> {
  const lines = turtle.toString('latin1').split('\n');
  const name = nameCheckpoint(lines[lines.indexOf('file:WiredTiger.wt') + 1] ?? '');
  const root = name === undefined ? undefined : unpackCheckpoint(name)?.root;
  if (root === undefined) return undefined;
  const entries = new Map<string, CheckpointName>();
  return (await readTree(metadata, root, entries)) ? entries : undefined;
}

const mostPages = 100_000;
const compressedPage = 0x01;

async function readTree(file: FileHandle, root: BlockAddress, entries: Map<string, CheckpointName>): Promise<boolean> {
  const waiting = [root];
  for (let pages = 0; waiting.length > 0; pages++) {
    const page = await readPage(file, waiting.pop()!);
    if (page === undefined || pages > mostPages || (page.flags & compressedPage) !== 0) return false;
    const cells = readCells(page.body, page.entries);
    if (page.type === pageTypes.rowInternal) {
      for (const cell of cells) if (cell.kind === 'address') waiting.push(unpackAddress({ bytes: cell.bytes, at: 0 }, metadataAllocationBytes)!);
    } else if (page.type === pageTypes.rowLeaf) {
      if (!(await readLeaf(file, cells, entries))) return false;
    } else return false;
  }
  return true;
}

/** That of WiredTiger.wt is fixed in WiredTiger. */
const metadataAllocationBytes = 4096;

async function readLeaf(file: FileHandle, cells: readonly Cell[], entries: Map<string, CheckpointName>): Promise<boolean> {
  let key: Buffer = Buffer.alloc(0);
  for (const cell of cells) {
    const bytes = cell.isElsewhere ? await readOverflow(file, cell.bytes) : cell.bytes;
    if (bytes === undefined || cell.kind === 'address') return false;
    if (cell.kind === 'key') key = Buffer.concat([key.subarray(0, cell.prefix), bytes]);
    else {
      const name = textOf(key);
      const checkpoint = name.startsWith('file:') ? nameCheckpoint(textOf(bytes)) : undefined;
      if (checkpoint !== undefined) entries.set(name.slice('file:'.length), checkpoint);
    }
  }
  return true;
}

async function readOverflow(file: FileHandle, address: Buffer): Promise<Buffer | undefined> {
  const at = unpackAddress({ bytes: address, at: 0 }, metadataAllocationBytes);
  const page = at === undefined ? undefined : await readPage(file, at);
  return page?.type === pageTypes.overflow ? page.body.subarray(0, page.entries) : undefined;
}

function textOf(bytes: Buffer): string {
  return bytes.subarray(0, bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length).toString('utf8');
}

type Cell = { readonly kind: 'key' | 'value' | 'address'; readonly prefix: number; readonly isElsewhere: boolean; readonly bytes: Buffer };

/** Kinds of a long cell, in the upper half of its first byte. */
const longKinds: Readonly<Record<number, Pick<Cell, 'kind' | 'isElsewhere'>>> = {
  0x10: { kind: 'address', isElsewhere: false },
  0x20: { kind: 'address', isElsewhere: false },
  0x30: { kind: 'address', isElsewhere: false },
  0x50: { kind: 'key', isElsewhere: false },
  0x60: { kind: 'key', isElsewhere: true },
  0x70: { kind: 'key', isElsewhere: false },
  0x80: { kind: 'value', isElsewhere: false },
  0xa0: { kind: 'value', isElsewhere: true },
};
const keyWithPrefix = 0x70;
const hasTimes = 0x08;
const hasCount = 0x04;
/** Long cells hold more than a short one could: the difference is not written. */
const longestShort = 64;

/** Throws a RangeError where the page is not as expected. */
function readCells(body: Buffer, count: number): Cell[] {
  const cursor: Cursor = { bytes: body, at: 0 };
  return Array.from({ length: count }, () => readCell(cursor));
}

function readCell(cursor: Cursor): Cell {
  const first = cursor.bytes.readUInt8(cursor.at++);
  switch (first & 0x03) {
    case 0x01:
      return { kind: 'key', prefix: 0, isElsewhere: false, bytes: take(cursor, first >> 2) };
    case 0x02: {
      const prefix = cursor.bytes.readUInt8(cursor.at++);
      return { kind: 'key', prefix, isElsewhere: false, bytes: take(cursor, first >> 2) };
    }
    case 0x03:
      return { kind: 'value', prefix: 0, isElsewhere: false, bytes: take(cursor, first >> 2) };
    default:
      return readLongCell(cursor, first);
  }
}

function readLongCell(cursor: Cursor, first: number): Cell {
  const type = first & 0xf0;
  const found = longKinds[type];
  if (found === undefined) throw new RangeError(`cell of kind ${type} in the metadata`);
  const prefix = type === keyWithPrefix ? cursor.bytes.readUInt8(cursor.at++) : 0;
  if ((first & hasTimes) !== 0) {
    const given = cursor.bytes.readUInt8(cursor.at++);
    for (let bit = 0x02; bit <= 0x40; bit <<= 1) if ((given & bit) !== 0) unpackUint(cursor);
  }
  if ((first & hasCount) !== 0) unpackUint(cursor);
  const isShortened = !found.isElsewhere && (found.kind === 'key' || (found.kind === 'value' && (first & (hasTimes | hasCount)) === 0));
  const bytes = take(cursor, unpackUint(cursor) + (isShortened ? longestShort : 0));
  return { ...found, prefix, bytes };
}

function take(cursor: Cursor, bytes: number): Buffer {
  if (cursor.at + bytes > cursor.bytes.length) throw new RangeError('a cell ends behind its page');
  const taken = cursor.bytes.subarray(cursor.at, cursor.at + bytes);
  cursor.at += bytes;
  return taken;
}
