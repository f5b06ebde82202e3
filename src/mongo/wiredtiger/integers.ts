/** Integers as WiredTiger packs them, so that their bytes sort as they do: 6 bits, 13 bits, or up to eight bytes (intpack_inline.h). */

/** A place in packed bytes. Reading behind their end throws a RangeError, which readers of this room take as "not as expected". */
export type Cursor = { readonly bytes: Buffer; at: number };

const twoBytesFrom = 1 << 6;
const moreBytesFrom = twoBytesFrom + (1 << 13);

export function unpackUint(cursor: Cursor): number {
  const first = cursor.bytes.readUInt8(cursor.at);
  if (first >= 0x80 && first < 0xc0) {
    cursor.at += 1;
    return first & 0x3f;
  }
  if (first >= 0xc0 && first < 0xe0) {
    const low = cursor.bytes.readUInt8(cursor.at + 1);
    cursor.at += 2;
    return (((first & 0x1f) << 8) | low) + twoBytesFrom;
  }
  if (first < 0xe0) throw new RangeError('not an unsigned integer');
  const length = first & 0x0f;
  let value = 0;
  for (let k = 1; k <= length; k++) value = value * 256 + cursor.bytes.readUInt8(cursor.at + k);
  cursor.at += 1 + length;
  return value + moreBytesFrom;
}

export function packUint(value: number | bigint): Buffer {
  if (value < twoBytesFrom) return Buffer.from([0x80 | Number(value)]);
  if (value < moreBytesFrom) {
    const rest = Number(value) - twoBytesFrom;
    return Buffer.from([0xc0 | (rest >> 8), rest & 0xff]);
  }
  const bytes = Buffer.alloc(9);
  bytes.writeBigUInt64BE(BigInt(value) - BigInt(moreBytesFrom), 1);
  let from = 1;
  while (from < 8 && bytes[from] === 0) from += 1;
  bytes[from - 1] = 0xe0 | (9 - from);
  return bytes.subarray(from - 1);
}
