/**
 * What snappy has compressed, as its format description says: a varint of the length, then literals and copies of what is
 * there already. Throws a RangeError where the bytes are not as expected.
 */
export function unpackSnappy(packed: Buffer, mostBytes: number): Buffer {
  const cursor = { at: 0 };
  const length = varint(packed, cursor);
  if (length > mostBytes) throw new RangeError('more compressed bytes than a page has');
  const bytes = Buffer.alloc(length);
  let to = 0;
  while (to < length) {
    const tag = packed.readUInt8(cursor.at++);
    to += (tag & 0x03) === 0 ? literal(packed, cursor, tag >> 2, bytes, to) : copy(packed, cursor, tag, bytes, to);
  }
  return bytes;
}

const lengthBytes = 8;

/** As mongod's compressor for WiredTiger leaves it: in front stands how much what is compressed takes. */
export function unpackSnappyAt(bytes: Buffer, from: number, mostBytes: number): Buffer {
  const start = from + lengthBytes;
  const end = start + Number(bytes.readBigUInt64LE(from));
  if (end > bytes.length) throw new RangeError('compressed bytes end behind what holds them');
  return unpackSnappy(bytes.subarray(start, end), mostBytes);
}

type Place = { at: number };

function varint(packed: Buffer, cursor: Place): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = packed.readUInt8(cursor.at++);
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
  throw new RangeError('no length of compressed bytes');
}

/** Up to 60 bytes are counted in the tag; of more, the tag says in how many bytes the count follows. */
function literal(packed: Buffer, cursor: Place, counted: number, bytes: Buffer, to: number): number {
  const more = Math.max(0, counted - 59);
  const count = 1 + (more === 0 ? counted : packed.readUIntLE(cursor.at, more));
  cursor.at += more;
  if (cursor.at + count > packed.length || to + count > bytes.length) throw new RangeError('a literal ends behind its page');
  packed.copy(bytes, to, cursor.at, cursor.at + count);
  cursor.at += count;
  return count;
}

function copy(packed: Buffer, cursor: Place, tag: number, bytes: Buffer, to: number): number {
  const [count, back] = copied(packed, cursor, tag);
  if (back === 0 || back > to || to + count > bytes.length) throw new RangeError('a copy from outside its page');
  // What is copied may be what this copy writes.
  if (back >= count) bytes.copy(bytes, to, to - back, to - back + count);
  else for (let k = 0; k < count; k++) bytes[to + k] = bytes[to + k - back]!;
  return count;
}

function copied(packed: Buffer, cursor: Place, tag: number): [count: number, back: number] {
  const kind = tag & 0x03;
  if (kind === 1) return [((tag >> 2) & 0x07) + 4, ((tag >> 5) << 8) | packed.readUInt8(cursor.at++)];
  const width = kind === 2 ? 2 : 4;
  const back = packed.readUIntLE(cursor.at, width);
  cursor.at += width;
  return [(tag >> 2) + 1, back];
}
