/**
 * BSON, walked in its bytes.
 *
 * A document is int32 length, then (type byte, name, 0, value)*, 0. Every length comes from the bytes and is checked
 * against what is left, so damage is `mongo.oplog-damaged` and never a read beyond the end.
 */
import { oplogDamaged } from './failures.ts';

export const DOUBLE = 0x01;
export const STRING = 0x02;
export const DOCUMENT = 0x03;
export const ARRAY = 0x04;
export const BINARY = 0x05;
export const DATE = 0x09;
export const INT32 = 0x10;
export const TIMESTAMP = 0x11;
export const INT64 = 0x12;

/** Where a field's value is inside its document's bytes. */
export type BsonField = { readonly type: number; readonly name: string; readonly value: number; readonly size: number };

/** The documents of concatenated BSON, as views. */
export function* splitDocuments(source: Uint8Array): Generator<Uint8Array> {
  const buffer = asBuffer(source);
  for (let from = 0; from < buffer.length; ) {
    const size = documentSize(buffer, from);
    yield buffer.subarray(from, from + size);
    from += size;
  }
}

/** The fields of the document (or array) that begins at `from`. */
export function* fieldsOf(source: Uint8Array, from = 0): Generator<BsonField> {
  const buffer = asBuffer(source);
  const end = from + documentSize(buffer, from);
  for (let at = from + 4; at < end - 1; ) {
    const value = afterName(buffer, at + 1, end);
    const size = valueSize(buffer, buffer[at]!, value, end);
    yield { type: buffer[at]!, name: buffer.toString('utf8', at + 1, value - 1), value, size };
    at = value + size;
  }
}

/** The first field of that name in the document that begins at `from`. */
export function fieldOf(source: Uint8Array, name: string, from = 0): BsonField | undefined {
  for (const field of fieldsOf(source, from)) if (field.name === name) return field;
  return undefined;
}

/** The text of a string field; undefined when it is absent or of another type. */
export function textOf(source: Uint8Array, name: string, from = 0): string | undefined {
  const field = fieldOf(source, name, from);
  return field?.type === STRING ? asBuffer(source).toString('utf8', field.value + 4, field.value + field.size - 1) : undefined;
}

export function asBuffer(source: Uint8Array): Buffer {
  return Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.length);
}

/** The bytes of the document that begins at `from`. */
export function documentSize(buffer: Buffer, from: number): number {
  if (from + 5 > buffer.length) throw oplogDamaged({ why: `${buffer.length - from} bytes are left, too few for a document` });
  const size = buffer.readInt32LE(from);
  if (size < 5 || from + size > buffer.length) throw oplogDamaged({ why: `a document says it has ${size} bytes, ${buffer.length - from} are left` });
  if (buffer[from + size - 1] !== 0) throw oplogDamaged({ why: 'a document does not end in zero' });
  return size;
}

/** Exact to 53 bits. */
export function readLong(buffer: Buffer, at: number): number {
  return buffer.readInt32LE(at + 4) * 0x1_0000_0000 + buffer.readUInt32LE(at);
}

/** Where the value begins whose name begins at `name`. */
export function afterName(buffer: Buffer, name: number, end: number): number {
  let at = name;
  while (at < end && buffer[at] !== 0) at++;
  if (at >= end - 1) throw oplogDamaged({ why: 'a field name has no end' });
  return at + 1;
}

export function firstKey(buffer: Buffer, document: number): string | undefined {
  if (buffer[document + 4] === 0) return undefined;
  const name = document + 5;
  return buffer.toString('utf8', name, afterName(buffer, name, document + documentSize(buffer, document)) - 1);
}

/** Bytes of a value, by its type; -1 lengths and overruns are damage. */
export function valueSize(buffer: Buffer, type: number, value: number, end: number): number {
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
