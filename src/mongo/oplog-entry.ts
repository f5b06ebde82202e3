/**
 * Oplog entries, read from their bytes.
 *
 * Only what decisions need is looked at: ts, t, op, ns, ui, wall, and of `o` the first key (a command's name) and the
 * marks of a transaction. Nothing is decoded and encoded again, so an entry leaves as the bytes it came in.
 *
 * BSON: int32 length, then (type byte, name, 0, value)*, 0. Lengths come from the bytes and are checked against what is
 * left, so damage is `mongo.oplog-damaged` and never a read beyond the end.
 */
import type { Optime } from '../base/cluster-time.ts';
import type { OplogBatch } from './oplog-batch.ts';
import { oplogDamaged } from './failures.ts';

export type OplogEntry = {
  readonly at: Optime;
  /** i, u, d, n, c, or what newer servers add. */
  readonly op: string;
  readonly ns: string;
  /** The collection's UUID as 32 hex digits. */
  readonly ui: string | undefined;
  /** The wall clock of the primary in milliseconds since 1970. */
  readonly wallMs: number | undefined;
  /** The first key of `o`: the command's name when `op` is c. */
  readonly first: string | undefined;
  /** It belongs to a session: a retryable write or a transaction. */
  readonly session: boolean;
  /** `multiOpType`: 1 marks a retryable batched insert that only looks like a transaction. */
  readonly multiOpType: number;
  readonly bytes: Uint8Array;
};

const STRING = 2;
const DOCUMENT = 3;
const ARRAY = 4;
const BINARY = 5;
const DATE = 9;
const INT32 = 16;
const TIMESTAMP = 17;
const INT64 = 18;
const DOUBLE = 1;

/** Reads one entry that starts at `from`; `bytes` of the answer is a view, not a copy. */
export function readEntry(source: Uint8Array, from = 0): OplogEntry {
  const buffer = asBuffer(source);
  const end = from + sizeAt(buffer, from);
  const entry: { -readonly [K in keyof OplogEntry]: OplogEntry[K] } = {
    at: NO_TIME,
    op: '',
    ns: '',
    ui: undefined,
    wallMs: undefined,
    first: undefined,
    session: false,
    multiOpType: 0,
    bytes: buffer.subarray(from, end),
  };
  let t = -1;
  let i = 0;
  let term = -1;
  for (const cursor = { at: from + 4 }; cursor.at < end - 1; ) {
    const type = buffer[cursor.at]!;
    const name = cursor.at + 1;
    const value = buffer.indexOf(0, name) + 1;
    if (value === 0 || value > end) throw oplogDamaged({ why: 'a field name has no end' });
    const size = valueSize(buffer, type, value, end);
    switch (value - 1 - name) {
      case 1:
        if (buffer[name] === T && (type === INT64 || type === INT32)) term = type === INT64 ? readLong(buffer, value) : buffer.readInt32LE(value);
        else if (buffer[name] === O && type === DOCUMENT) entry.first = firstKey(buffer, value);
        break;
      case 2:
        if (buffer[name] === T && buffer[name + 1] === S && type === TIMESTAMP) {
          i = buffer.readUInt32LE(value);
          t = buffer.readUInt32LE(value + 4);
        } else if (buffer[name] === O && buffer[name + 1] === P && type === STRING) entry.op = shortText(buffer, value, size);
        else if (buffer[name] === N && buffer[name + 1] === S && type === STRING) entry.ns = buffer.toString('utf8', value + 4, value + size - 1);
        else if (buffer[name] === U && buffer[name + 1] === I && type === BINARY) entry.ui = buffer.toString('hex', value + 5, value + size);
        break;
      case 4:
        if (type === DATE && buffer.toString('latin1', name, name + 4) === 'wall') entry.wallMs = readLong(buffer, value);
        else if (type === DOCUMENT && buffer.toString('latin1', name, name + 4) === 'lsid') entry.session = true;
        break;
      case 11:
        if (type === INT32 && buffer.toString('latin1', name, name + 11) === 'multiOpType') entry.multiOpType = buffer.readInt32LE(value);
        break;
      default:
    }
    cursor.at = value + size;
  }
  if (t === -1) throw oplogDamaged({ why: 'an entry has no ts' });
  entry.at = { t, i, term };
  return entry;
}

/** The time of the entry at `from`, without reading more than it must. */
export function readOptime(source: Uint8Array, from = 0): Optime {
  return readEntry(source, from).at;
}

/** The entries of concatenated documents, in order. */
export function* entriesOf(source: Uint8Array): Generator<OplogEntry> {
  for (let from = 0; from < source.length; ) {
    const entry = readEntry(source, from);
    yield entry;
    from += entry.bytes.length;
  }
}

/** The documents of concatenated BSON, as views. */
export function* splitDocuments(source: Uint8Array): Generator<Uint8Array> {
  const buffer = asBuffer(source);
  for (let from = 0; from < buffer.length; ) {
    const size = sizeAt(buffer, from);
    yield buffer.subarray(from, from + size);
    from += size;
  }
}

/** One batch out of entries' bytes. At least one is needed. */
export function batchOf(documents: readonly Uint8Array[]): OplogBatch {
  if (documents.length === 0) throw new Error('a batch holds at least one entry');
  return {
    first: readOptime(documents[0]!),
    last: readOptime(documents.at(-1)!),
    count: documents.length,
    bytes: Buffer.concat(documents),
  };
}

const [T, S, O, P, N, U, I] = ['t', 's', 'o', 'p', 'n', 'u', 'i'].map((letter) => letter.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const NO_TIME: Optime = { t: 0, i: 0, term: -1 };

function asBuffer(source: Uint8Array): Buffer {
  return Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.length);
}

function sizeAt(buffer: Buffer, from: number): number {
  if (from + 5 > buffer.length) throw oplogDamaged({ why: `${buffer.length - from} bytes are left, too few for a document` });
  const size = buffer.readInt32LE(from);
  if (size < 5 || from + size > buffer.length) throw oplogDamaged({ why: `a document says it has ${size} bytes, ${buffer.length - from} are left` });
  if (buffer[from + size - 1] !== 0) throw oplogDamaged({ why: 'a document does not end in zero' });
  return size;
}

function readLong(buffer: Buffer, at: number): number {
  return buffer.readInt32LE(at + 4) * 0x1_0000_0000 + buffer.readUInt32LE(at);
}

/** One-letter operations are most of an oplog: no string is made for them. */
function shortText(buffer: Buffer, value: number, size: number): string {
  if (size !== 6) return buffer.toString('utf8', value + 4, value + size - 1);
  return LETTERS[buffer[value + 4]!] ?? String.fromCharCode(buffer[value + 4]!);
}
const LETTERS: Record<number, string> = Object.fromEntries(['i', 'u', 'd', 'n', 'c'].map((letter) => [letter.charCodeAt(0), letter]));

function firstKey(buffer: Buffer, document: number): string | undefined {
  if (buffer[document + 4] === 0) return undefined;
  const name = document + 5;
  return buffer.toString('utf8', name, buffer.indexOf(0, name));
}

/** Bytes of a value, by its type; -1 lengths and overruns are damage. */
function valueSize(buffer: Buffer, type: number, value: number, end: number): number {
  const size = sizeOfType(buffer, type, value);
  if (size < 0 || value + size > end - 1) throw oplogDamaged({ why: `a field of type ${type} runs over the end of its entry` });
  return size;
}

function sizeOfType(buffer: Buffer, type: number, value: number): number {
  switch (type) {
    case DOUBLE:
    case DATE:
    case TIMESTAMP:
    case INT64:
      return 8;
    case STRING:
    case 0x0d:
    case 0x0e:
      return 4 + lengthAt(buffer, value);
    case DOCUMENT:
    case ARRAY:
    case 0x0f:
      return lengthAt(buffer, value);
    case BINARY:
      return 5 + lengthAt(buffer, value);
    case 0x07:
      return 12;
    case 0x08:
      return 1;
    case INT32:
      return 4;
    case 0x13:
      return 16;
    case 0x0b:
      return twoTexts(buffer, value);
    case 0x0c:
      return 4 + lengthAt(buffer, value) + 12;
    case 0x06:
    case 0x0a:
    case 0x7f:
    case 0xff:
      return 0;
    default:
      throw oplogDamaged({ why: `there is no BSON type ${type}` });
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  const length = at + 4 > buffer.length ? -1 : buffer.readInt32LE(at);
  return length < 0 ? -100 : length;
}

function twoTexts(buffer: Buffer, value: number): number {
  const first = buffer.indexOf(0, value);
  const second = first === -1 ? -1 : buffer.indexOf(0, first + 1);
  return second === -1 ? -1 : second + 1 - value;
}
