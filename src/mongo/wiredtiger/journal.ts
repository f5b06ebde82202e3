/**
 * WiredTiger's journal, as version 5 of its log files (WiredTiger 10 and 11, log.c, log_auto.c, txn_recover.c).
 *
 *   0    16   record: 0 u32 bytes, these included · 4 u32 CRC-32C of the record with this field zero · 8 u16 flags · 12 u32
 *  16     …   kind, and for a commit: transaction id, operations
 *
 * Records begin at multiples of 128 bytes; the first of a file says what it is. Recovery reads from the checkpoint's place to
 * the first record that is not whole, and applies each operation to a file that is older than the record.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32c } from './crc32c.ts';
import { packUint, unpackUint, type Cursor } from './integers.ts';
import { unpackSnappyAt } from './snappy.ts';

const alignment = 128;
const headBytes = 16;
const magic = 0x101064;
const version = 5;
const mostRecordBytes = 256 << 20;
const windowBytes = 4 << 20;

/** Whether the file is one whose records this room knows. */
export async function isJournal(file: FileHandle): Promise<boolean> {
  const first = Buffer.alloc(alignment);
  const { bytesRead } = await file.read(first, 0, alignment, 0);
  return bytesRead === alignment && isWhole(first) && first.readUInt32LE(headBytes) === magic && first.readUInt16LE(headBytes + 4) === version;
}

export type JournalRecord = { /** Where the next one begins, or the end is. */ readonly end: number; readonly body: Buffer };

/**
 * The records that recovery reads: from `offset`, where one begins or the end is, to the first that is not whole. Throws a
 * RangeError where one is packed in another way than mongod's.
 */
export async function* readRecords(file: FileHandle, offset: number): AsyncGenerator<JournalRecord> {
  let window = Buffer.alloc(windowBytes);
  for (let from = offset; ; ) {
    const { bytesRead } = await file.read(window, 0, window.length, from);
    const bytes = window.subarray(0, bytesRead);
    let at = 0;
    let length = nextLength(bytes, at);
    for (; length > 0 && at + length <= bytesRead; length = nextLength(bytes, at)) {
      const record = Buffer.from(bytes.subarray(at, at + length));
      if (!isWhole(record)) return;
      at += aligned(length);
      yield { end: from + at, body: unpackBody(record) };
    }
    const isCutOff = bytesRead === window.length && length !== 0;
    if (!isCutOff) return;
    if (at === 0) window = Buffer.alloc(aligned(length));
    from += at;
  }
}

/** Whether nothing but zeros follows, or nothing at all. */
export async function isEmptyFrom(file: FileHandle, offset: number): Promise<boolean> {
  const window = Buffer.alloc(windowBytes);
  for (let from = offset; ; ) {
    const { bytesRead } = await file.read(window, 0, window.length, from);
    if (bytesRead === 0) return true;
    if (window.subarray(0, bytesRead).some((byte) => byte !== 0)) return false;
    from += bytesRead;
  }
}

/** Of the record at a place: 0 where there is none, more than there is where its head is cut off. */
function nextLength(bytes: Buffer, at: number): number {
  if (at + headBytes > bytes.length) return headBytes;
  const length = bytes.readUInt32LE(at);
  return length < headBytes || length > mostRecordBytes ? 0 : length;
}

const compressed = 0x01;

function unpackBody(record: Buffer): Buffer {
  const flags = record.readUInt16LE(8);
  if (flags === 0) return record.subarray(headBytes);
  if (flags !== compressed) throw new RangeError('a journal that is encrypted, or of another kind');
  return unpackSnappyAt(record, headBytes, record.readUInt32LE(12));
}

function isWhole(record: Buffer): boolean {
  const checked = Buffer.from(record);
  checked.writeUInt32LE(0, 4);
  return record.readUInt32LE(4) === crc32c(checked);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

const kinds = { commit: 1, rowPut: 4, rowTruncate: 6 } as const;
/** Recovery gives the transactions of the journal ids of its own. */
const anyTransaction = 1;

export type JournalOperation =
  | { readonly kind: 'put'; readonly key: Buffer; readonly value: Buffer }
  /** `through` is empty where the last row goes too. */
  | { readonly kind: 'truncate'; readonly through: Buffer }
  | { readonly kind: 'other' };

/** What the record does to the file with this id. */
export function operationsOn(fileId: number, { body }: JournalRecord): JournalOperation[] {
  const record: Cursor = { bytes: body, at: 0 };
  if (unpackUint(record) !== kinds.commit) return [];
  unpackUint(record);
  const operations: JournalOperation[] = [];
  // Zeros follow the last one.
  while (record.at < body.length && body[record.at] !== 0) {
    const from = record.at;
    const kind = unpackUint(record);
    const bytes = unpackUint(record);
    if (bytes === 0 || from + bytes > body.length) throw new RangeError('an operation ends behind its record');
    const operation: Cursor = { bytes: body.subarray(0, from + bytes), at: record.at };
    if (!onNoFile.has(kind) && unpackUint(operation) === fileId) operations.push(readOperation(kind, operation));
    record.at = from + bytes;
  }
  return operations;
}

/** Start of a checkpoint, place of the record before, times of a transaction. */
const onNoFile: ReadonlySet<number> = new Set([7, 8, 11]);

function readOperation(kind: number, operation: Cursor): JournalOperation {
  if (kind === kinds.rowPut) return { kind: 'put', key: takeItem(operation), value: operation.bytes.subarray(operation.at) };
  if (kind !== kinds.rowTruncate) return { kind: 'other' };
  takeItem(operation);
  return { kind: 'truncate', through: takeItem(operation) };
}

function takeItem(cursor: Cursor): Buffer {
  const bytes = unpackUint(cursor);
  const from = cursor.at;
  cursor.at += bytes;
  if (cursor.at > cursor.bytes.length) throw new RangeError('a key ends behind its operation');
  return cursor.bytes.subarray(from, cursor.at);
}

/** One transaction: all of its operations are there after recovery, or none. */
export function commitRecord(operations: readonly Uint8Array[]): Buffer {
  const kind = Buffer.concat([packUint(kinds.commit), packUint(anyTransaction)]);
  const length = operations.reduce((sum, operation) => sum + operation.length, headBytes + kind.length);
  const record = Buffer.concat([Buffer.alloc(headBytes), kind, ...operations], aligned(length));
  record.writeUInt32LE(record.length, 0);
  record.writeUInt32LE(crc32c(record), 4);
  return record;
}

/** A row of the file with this id, in place of one with the same key. */
export function putRow(fileId: number, key: Uint8Array, value: Uint8Array): Buffer {
  const kind = packUint(kinds.rowPut);
  const row = [packUint(fileId), packUint(key.length), key, value];
  const bytes = row.reduce((sum, part) => sum + part.length, kind.length);
  return Buffer.concat([kind, sizeWithItself(bytes), ...row]);
}

/** Of bytes that are preceded by their size, which counts itself. */
function sizeWithItself(bytes: number): Buffer {
  for (let length = 1; ; length++) {
    const size = packUint(bytes + length);
    if (size.length === length) return size;
  }
}
