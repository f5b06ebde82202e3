/**
 * Rows of a WiredTiger table as its checkpoint has them (WiredTiger 10 and 11, cell.h, bt_page.c): internal pages of keys
 * and addresses, leaf pages of keys and values. Throws a RangeError where anything is not exactly as expected.
 */
import type { FileHandle } from 'node:fs/promises';
import { pageTypes, readPage, unpackAddress, type BlockAddress, type Page } from './block-file.ts';
import { unpackUint, type Cursor } from './integers.ts';
import { unpackSnappyAt } from './snappy.ts';

/** `ends`: it was taken away or replaced, and is there for readers of an older moment; which of them see it only WiredTiger knows. */
export type Row = { readonly key: Buffer; readonly value: Buffer; readonly ends: boolean };

export type Tree = { readonly file: FileHandle; readonly allocationBytes: number; readonly root: BlockAddress };

const mostPages = 100_000;

/** The rows in the order of their keys, from the first whose key is not below `from`. */
export async function* readRows(tree: Tree, from: Buffer = Buffer.alloc(0)): AsyncGenerator<Row> {
  const waiting: (BlockAddress | undefined)[] = [tree.root];
  for (let pages = 0; waiting.length > 0; pages++) {
    const address = waiting.pop();
    if (address === undefined || pages > mostPages) throw new RangeError('pages that are gone, or more than a table of this kind has');
    const page = await readRowPage(tree, address);
    if (page.type === pageTypes.rowInternal) {
      const children = childrenOf(tree, page);
      waiting.push(...children.slice(whereIs(from, children)).map(({ address }) => address).reverse());
    } else for await (const row of readLeaf(tree, page)) if (row.key.compare(from) >= 0) yield row;
  }
}

/** Without an address: all of its rows were taken away at once. Who can still see them only WiredTiger knows. */
type Child = { readonly key: Buffer; readonly address: BlockAddress | undefined };

/** Which child has the key. The first key of an internal page stands for everything that is smaller than the second. */
function whereIs(key: Buffer, children: readonly Child[]): number {
  return Math.max(0, children.findLastIndex((child, k) => k === 0 || child.key.compare(key) <= 0));
}

/** The row with this key, by the few pages on the way to it. */
export async function findRow(tree: Tree, key: Buffer): Promise<Row | undefined> {
  for await (const row of readRows(tree, key)) return row.key.equals(key) ? row : undefined;
  return undefined;
}

const compressedPage = 0x01;
/** Compressed; all values are empty; none is. */
const knownFlags = 0x07;
/** Of each page, its headers first, this much is never compressed. */
const plainBytes = 64;
const headBytes = 40;
const mostPageBytes = 64 << 20;

async function readRowPage({ file }: Tree, address: BlockAddress): Promise<Page> {
  const page = await readPage(file, address);
  if (page === undefined || (page.type !== pageTypes.rowLeaf && page.type !== pageTypes.rowInternal)) throw new RangeError('no page of rows');
  if ((page.flags & ~knownFlags) !== 0) throw new RangeError('a page that is encrypted, or of another version');
  return (page.flags & compressedPage) === 0 ? page : { ...page, body: unpackBody(page.body) };
}

function unpackBody(body: Buffer): Buffer {
  const from = plainBytes - headBytes;
  return Buffer.concat([body.subarray(0, from), unpackSnappyAt(body, from, mostPageBytes)]);
}

function childrenOf({ allocationBytes }: Tree, page: Page): Child[] {
  const cells = readCells(page.body, page.entries);
  const children: Child[] = [];
  for (let k = 0; k + 1 < cells.length; k += 2) {
    const [key, child] = [cells[k]!, cells[k + 1]!];
    const address = child.kind === 'address' ? unpackAddress({ bytes: child.bytes, at: 0 }, allocationBytes) : undefined;
    if (key.kind !== 'key' || (address === undefined && child.kind !== 'deleted')) throw new RangeError('an internal page of something else');
    children.push({ key: key.bytes, address });
  }
  return children;
}

async function* readLeaf(tree: Tree, page: Page): AsyncGenerator<Row> {
  let key: Buffer = Buffer.alloc(0);
  let isPaired = true;
  for (const cell of readCells(page.body, page.entries)) {
    const bytes = cell.isElsewhere ? await readOverflow(tree, cell.bytes) : cell.bytes;
    if (cell.kind === 'address' || cell.kind === 'deleted') throw new RangeError('an address among rows');
    if (cell.kind === 'key') {
      // A key without a value stands for an empty one.
      if (!isPaired) yield { key, value: nothing, ends: false };
      key = Buffer.concat([key.subarray(0, cell.prefix), bytes]);
      isPaired = false;
    } else {
      yield { key, value: bytes, ends: cell.ends };
      isPaired = true;
    }
  }
  if (!isPaired) yield { key, value: nothing, ends: false };
}

const nothing = Buffer.alloc(0);

async function readOverflow({ file, allocationBytes }: Tree, packed: Buffer): Promise<Buffer> {
  const address = unpackAddress({ bytes: packed, at: 0 }, allocationBytes);
  const page = address === undefined ? undefined : await readPage(file, address);
  if (page?.type !== pageTypes.overflow || (page.flags & compressedPage) !== 0) throw new RangeError('no overflow page');
  return page.body.subarray(0, page.entries);
}

type Cell = { readonly kind: 'key' | 'value' | 'address' | 'deleted'; readonly prefix: number; readonly isElsewhere: boolean; readonly ends: boolean; readonly bytes: Buffer };

/** Kinds of a long cell, in the upper half of its first byte. */
const longKinds: Readonly<Record<number, Pick<Cell, 'kind' | 'isElsewhere'>>> = {
  0x00: { kind: 'deleted', isElsewhere: false },
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
/** Of the times that a cell has, in the order of their bits: durable start, durable stop, start, stop, and transactions of both. */
const ending = 0x04 | 0x10 | 0x40;
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
      return { kind: 'key', prefix: 0, isElsewhere: false, ends: false, bytes: take(cursor, first >> 2) };
    case 0x02: {
      const prefix = cursor.bytes.readUInt8(cursor.at++);
      return { kind: 'key', prefix, isElsewhere: false, ends: false, bytes: take(cursor, first >> 2) };
    }
    case 0x03:
      return { kind: 'value', prefix: 0, isElsewhere: false, ends: false, bytes: take(cursor, first >> 2) };
    default:
      return readLongCell(cursor, first);
  }
}

function readLongCell(cursor: Cursor, first: number): Cell {
  const type = first & 0xf0;
  const found = longKinds[type];
  if (found === undefined) throw new RangeError(`cell of kind ${type}`);
  const prefix = type === keyWithPrefix ? cursor.bytes.readUInt8(cursor.at++) : 0;
  let ends = false;
  if ((first & hasTimes) !== 0) {
    const given = cursor.bytes.readUInt8(cursor.at++);
    ends = (given & ending) !== 0;
    for (let bit = 0x02; bit <= 0x40; bit <<= 1) if ((given & bit) !== 0) unpackUint(cursor);
  }
  if ((first & hasCount) !== 0) unpackUint(cursor);
  const isShortened = !found.isElsewhere && (found.kind === 'key' || (found.kind === 'value' && (first & (hasTimes | hasCount)) === 0));
  const bytes = take(cursor, unpackUint(cursor) + (isShortened ? longestShort : 0));
  return { ...found, prefix, ends, bytes };
}

function take(cursor: Cursor, bytes: number): Buffer {
  if (cursor.at + bytes > cursor.bytes.length) throw new RangeError('a cell ends behind its page');
  const taken = cursor.bytes.subarray(cursor.at, cursor.at + bytes);
  cursor.at += bytes;
  return taken;
}
