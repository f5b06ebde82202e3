/** BSON put together from the bytes of values, for documents that must not be decoded and encoded again. */

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** One field: type, name, value. */
export function field(type: number, name: string, value: Uint8Array): Buffer {
  const letters = Buffer.byteLength(name);
  const bytes = Buffer.allocUnsafe(letters + 2 + value.length);
  bytes[0] = type;
  bytes.write(name, 1);
  bytes[letters + 1] = 0;
  bytes.set(value, letters + 2);
  return bytes;
}

export function text(name: string, value: string): Buffer {
  const bytes = Buffer.from(`${value}\0`);
  return field(2, name, Buffer.concat([int32(bytes.length), bytes]));
}

export function boolean(name: string, value: boolean): Buffer {
  return field(8, name, Buffer.from([value ? 1 : 0]));
}

/** A document (or an array, whose names are numbers) of fields. */
export function wrap(...fields: readonly Uint8Array[]): Buffer {
  const size = fields.reduce((sum, part) => sum + part.length, 5);
  return Buffer.concat([int32(size), ...fields, END], size);
}
const END = Buffer.from([0]);
