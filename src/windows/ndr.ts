/**
 * NDR, the form of what RPC carries (C706 chapter 14, MS-RPCE 2.2.4), little-endian: as much of it as the endpoint mapper and
 * service control need. A number stands at a multiple of its size, counted from the beginning of the stub.
 *
 * What is read comes from another machine: every length is held against the bytes that are there before it is used.
 */

/** The answer is not what it says it is. */
export class Malformed extends Error {}

const align = (at: number, size: number): number => Math.ceil(at / size) * size;

export class NdrWriter {
  #bytes = Buffer.alloc(0);
  #referents = 0;

  #put(part: Buffer, size: number): this {
    const start = align(this.#bytes.length, size);
    this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(start - this.#bytes.length), part]);
    return this;
  }

  u16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeUInt16LE(value);
    return this.#put(part, 2);
  }

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    return this.#put(part, 4);
  }

  raw(bytes: Uint8Array): this {
    return this.#put(Buffer.from(bytes), 1);
  }

  /** A context handle: 20 bytes that are the server's own. */
  handle(handle: Uint8Array): this {
    return this.#put(Buffer.from(handle), 4);
  }

  /** `[string] wchar_t *`: conformant and varying, with its end. */
  text(value: string): this {
    const units = value.length + 1;
    return this.u32(units).u32(0).u32(units).raw(Buffer.from(`${value}\0`, 'utf16le'));
  }

  /** The pointer of what follows, or of nothing. */
  pointer(isThere: boolean): this {
    return this.u32(isThere ? 0x20000 + 4 * ++this.#referents : 0);
  }

  optionalText(value: string | null): this {
    this.pointer(value !== null);
    return value === null ? this : this.text(value);
  }

  done(): Buffer {
    return this.#bytes;
  }
}

export class NdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #take(size: number, aligned: number): Buffer {
    const start = align(this.#at, aligned);
    if (start + size > this.#bytes.length) throw new Malformed(`it ends after ${this.#bytes.length} bytes, and ${start + size} are needed`);
    this.#at = start + size;
    return this.#bytes.subarray(start, start + size);
  }

  u16(): number {
    return this.#take(2, 2).readUInt16LE();
  }

  u32(): number {
    return this.#take(4, 4).readUInt32LE();
  }

  raw(length: number): Buffer {
    return this.#take(length, 1);
  }

  handle(): Buffer {
    return Buffer.from(this.#take(20, 4));
  }

  /** A count that must not be above what makes sense here. */
  count(most: number, what: string): number {
    const value = this.u32();
    if (value > most) throw new Malformed(`${what}: ${value}, and ${most} is the most`);
    return value;
  }
}

/** `367abb81-9844-…` as it stands in a stub: the first three fields are little-endian. */
export function uuidBytes(uuid: string): Buffer {
  const hex = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  return Buffer.concat([hex.subarray(0, 4).reverse(), hex.subarray(4, 6).reverse(), hex.subarray(6, 8).reverse(), hex.subarray(8)]);
}
