/**
 * Messages of the domain name system, as far as a check of names needs them: one question, and the answers to it.
 *
 *   header   id 16 · QR 1 · opcode 4 · AA 1 · TC 1 · RD 1 · RA 1 · Z 3 · rcode 4 · counts 4 × 16
 *   question name · type 16 · class 16
 *   answer   name · type 16 · class 16 · ttl 32 · length 16 · data
 *
 * What comes in is a stranger's: a pointer leads to an earlier place, a name has 255 bytes at most, nothing is read past
 * the end, and every byte that is no printable letter is shown as `\DDD`.
 */

export const recordTypes = { A: 1, CNAME: 5, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const;
export type RecordType = keyof typeof recordTypes;

export type DnsQuestion = { readonly name: string; readonly type: RecordType };

/** `value`: an address, a name without its last dot, a text, or `priority weight port target`. */
export type DnsRecord = { readonly name: string; readonly type: RecordType; readonly ttlSeconds: number; readonly value: string };

export type DnsResponse = {
  readonly id: number;
  readonly question: { readonly name: string; readonly type: number } | undefined;
  readonly isCutShort: boolean;
  /** 0: no error, 3: no such name. */
  readonly code: number;
  /** Those of a known type, of whatever owner. */
  readonly answers: readonly DnsRecord[];
};

const internet = 1;
const codeNames = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export function nameOfCode(code: number): string {
  return codeNames[code] ?? `code ${code}`;
}

/** Undefined for a name that no message can hold. */
export function encodeQuestion(id: number, { name, type }: DnsQuestion): Uint8Array | undefined {
  const labels = name.replace(/\.$/, '').split('.').map((label) => new TextEncoder().encode(label));
  if (labels.some(({ length }) => length < 1 || length > 63)) return undefined;
  const encoded = labels.flatMap((label) => [label.length, ...label]);
  if (encoded.length > 254) return undefined;
  const recursionDesired = 0x01;
  return Uint8Array.from([id >> 8, id & 0xff, recursionDesired, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...encoded, 0, 0, recordTypes[type], 0, internet]);
}

/** Undefined for what is no response, or cannot be read. */
export function decodeResponse(bytes: Uint8Array): DnsResponse | undefined {
  try {
    return readResponse(new Cursor(bytes));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readResponse(at: Cursor): DnsResponse | undefined {
  const [id, flags, questions, answers] = [at.word(), at.word(), at.word(), at.word()];
  at.skip(4);
  if ((flags & 0x8000) === 0 || questions > 1) return undefined;
  const question = questions === 0 ? undefined : { name: at.name(), type: at.word(), class: at.word() };
  const isCutShort = (flags & 0x0200) !== 0;
  const head = { id, question: question && { name: question.name, type: question.type }, isCutShort, code: flags & 0x0f };
  // What was cut short may end anywhere, and is asked for again in full.
  return { ...head, answers: isCutShort ? [] : readRecords(at, answers) };
}

function readRecords(at: Cursor, count: number): DnsRecord[] {
  const records: DnsRecord[] = [];
  for (let n = 0; n < count; n++) {
    const [name, number, , ttlSeconds, length] = [at.name(), at.word(), at.word(), at.word() * 65_536 + at.word(), at.word()];
    const end = at.place + length;
    const type = (Object.keys(recordTypes) as RecordType[]).find((known) => recordTypes[known] === number);
    if (type !== undefined) records.push({ name, type, ttlSeconds, value: readValue(at, type, end) });
    at.place = at.checked(end);
  }
  return records;
}

function readValue(at: Cursor, type: RecordType, end: number): string {
  switch (type) {
    case 'A':
      return [...at.bytes(4)].join('.');
    case 'AAAA':
      return showAddress([...at.bytes(16)]);
    case 'CNAME':
    case 'PTR':
      return at.name();
    case 'SRV':
      return [at.word(), at.word(), at.word(), at.name()].join(' ');
    case 'TXT': {
      const parts: string[] = [];
      while (at.place < end) parts.push(showBytes(at.bytes(at.byte()), /[\x20-\x7e]/));
      return parts.join('');
    }
  }
}

function showAddress(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, n) => (bytes[2 * n]! * 256 + bytes[2 * n + 1]!).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function showBytes(bytes: Uint8Array, plain: RegExp): string {
  return [...bytes].map((byte) => (plain.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`)).join('');
}

const mostPointers = 127;

/** Reads onwards, and throws a RangeError where there is nothing more, or what is there leads in a circle. */
class Cursor {
  place = 0;
  readonly #all: Uint8Array;

  constructor(all: Uint8Array) {
    this.#all = all;
  }

  checked(place: number): number {
    if (place > this.#all.length) throw new RangeError('the message ends before');
    return place;
  }

  bytes(count: number): Uint8Array {
    const from = this.place;
    this.place = this.checked(from + count);
    return this.#all.subarray(from, this.place);
  }

  byte(): number {
    return this.bytes(1)[0]!;
  }

  word(): number {
    return this.byte() * 256 + this.byte();
  }

  skip(count: number): void {
    this.bytes(count);
  }

  name(): string {
    const labels: string[] = [];
    let after: number | undefined;
    let earliest = this.place;
    let total = 0;
    let pointers = 0;
    for (let length = this.byte(); length !== 0; length = this.byte()) {
      if (length >= 0xc0) {
        const target = (length & 0x3f) * 256 + this.byte();
        after ??= this.place;
        pointers += 1;
        // As many as a name can have labels: a chain of pointers alone would be walked for every record that leads to it.
        if (target >= earliest || pointers > mostPointers) throw new RangeError('pointers that lead nowhere');
        this.place = earliest = target;
      } else if (length > 63) {
        throw new RangeError('a label of an unknown kind');
      } else {
        total += length + 1;
        if (total > 254) throw new RangeError('a name that is too long');
        labels.push(showBytes(this.bytes(length), /[A-Za-z0-9_/*-]/));
      }
    }
    this.place = after ?? this.place;
    return labels.join('.');
  }
}
