/**
 * What a directory server sends, before any of it is parsed: messages cut out of the stream, bounded, and well formed.
 *
 *   message   = SEQUENCE { INTEGER id, one of the answers below, [0] controls? }
 *   61 bind, 65 end of search, 78 extended   ENUMERATED code, OCTET STRING dn, OCTET STRING says, …
 *   64 entry       OCTET STRING dn, SEQUENCE of SEQUENCE { OCTET STRING type, SET of OCTET STRING }
 *   73 reference   OCTET STRING …
 *
 * Every length is checked to fill exactly what it is in. The parser behind this reads values that run over their end as
 * nothing and tries again at the same place, without an end (ldapts 9.2.0, Attribute.parse), so it is shown none.
 * Lengths take up to four bytes after their first, more than they need too: Active Directory writes them so.
 */

export const messageBytes = 1 << 20;

export class Malformed extends Error {}

type Value = { readonly tag: number; readonly from: number; readonly end: number };

const tags = { boolean: 0x01, integer: 0x02, text: 0x04, enumerated: 0x0a, sequence: 0x30, set: 0x31, controls: 0xa0 } as const;
const answers = { bind: 0x61, entry: 0x64, done: 0x65, reference: 0x73, extended: 0x78 } as const;

/** The bytes of the message that begins at `at`; undefined while they are not all there. */
export function messageLength(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length - at < 2) return undefined;
  if (bytes[at] !== tags.sequence) throw new Malformed(`a message begins with ${bytes[at]!.toString(16)}`);
  const head = headOf(bytes, at, bytes.length);
  if (head === undefined) return undefined;
  const length = head.from - at + head.length;
  if (length > messageBytes) throw new Malformed(`a message of ${length} bytes, more than ${messageBytes}`);
  return length;
}

/** Fails unless `bytes` is one whole message of a kind that a directory answers with. */
export function requireMessage(bytes: Uint8Array): void {
  const [message, ...more] = valuesIn(bytes, 0, bytes.length);
  if (message?.tag !== tags.sequence || more.length > 0) throw new Malformed('not one message');
  const [id, answer, ...rest] = valuesIn(bytes, message.from, message.end);
  require(id, tags.integer, 4);
  if (answer === undefined) throw new Malformed('a message without an answer');
  requireAnswer(bytes, answer);
  const [controls, ...others] = rest;
  if (others.length > 0) throw new Malformed('more than an answer and its controls');
  if (controls !== undefined) requireControls(bytes, controls);
}

/** Of one whole checked message that ends a question. */
export function resultCode(bytes: Uint8Array): number {
  const [message] = valuesIn(bytes, 0, bytes.length);
  const [, answer] = valuesIn(bytes, message!.from, message!.end);
  const [code] = valuesIn(bytes, answer!.from, answer!.end);
  if (code?.tag !== tags.enumerated) throw new Malformed('an answer without a code');
  return bytes.subarray(code.from, code.end).reduce((value, byte) => value * 256 + byte, 0);
}

function requireAnswer(bytes: Uint8Array, { tag, from, end }: Value): void {
  const parts = valuesIn(bytes, from, end);
  switch (tag) {
    case answers.bind:
    case answers.done:
    case answers.extended:
      require(parts[0], tags.enumerated, 4);
      require(parts[1], tags.text);
      require(parts[2], tags.text);
      return;
    case answers.reference:
      for (const part of parts) require(part, tags.text);
      return;
    case answers.entry: {
      require(parts[0], tags.text);
      require(parts[1], tags.sequence);
      if (parts.length !== 2) throw new Malformed('an entry of other parts than a name and attributes');
      for (const attribute of valuesIn(bytes, parts[1]!.from, parts[1]!.end)) requireAttribute(bytes, attribute);
      return;
    }
    default:
      throw new Malformed(`an answer of kind ${tag.toString(16)}`);
  }
}

function requireAttribute(bytes: Uint8Array, attribute: Value): void {
  require(attribute, tags.sequence);
  const [type, values, ...more] = valuesIn(bytes, attribute.from, attribute.end);
  require(type, tags.text);
  require(values, tags.set);
  if (more.length > 0) throw new Malformed('an attribute of other parts than a type and values');
  for (const value of valuesIn(bytes, values!.from, values!.end)) require(value, tags.text);
}

function requireControls(bytes: Uint8Array, controls: Value): void {
  require(controls, tags.controls);
  for (const control of valuesIn(bytes, controls.from, controls.end)) {
    require(control, tags.sequence);
    const [type, ...rest] = valuesIn(bytes, control.from, control.end);
    require(type, tags.text);
    const value = rest[0]?.tag === tags.boolean ? rest.slice(1) : rest;
    if (value.length > 1 || (value[0] !== undefined && value[0].tag !== tags.text)) throw new Malformed('a control of unknown parts');
  }
}

function require(value: Value | undefined, tag: number, longest = Number.POSITIVE_INFINITY): void {
  if (value === undefined || value.tag !== tag) throw new Malformed(`${value === undefined ? 'nothing' : value.tag.toString(16)} where ${tag.toString(16)} is expected`);
  const length = value.end - value.from;
  if (length > longest || (longest === 4 && length === 0)) throw new Malformed(`a number of ${length} bytes`);
}

/** The values that fill `from` to `end`, no more and no less. */
function valuesIn(bytes: Uint8Array, from: number, end: number): Value[] {
  const values: Value[] = [];
  for (let at = from; at < end; ) {
    const head = headOf(bytes, at, end);
    if (head === undefined || head.length > end - head.from) throw new Malformed('a value runs over the end of what it is in');
    values.push({ tag: bytes[at]!, from: head.from, end: head.from + head.length });
    at = head.from + head.length;
  }
  return values;
}

/** Where the content of the value at `at` begins and how long it is; undefined when its head is not all there. */
function headOf(bytes: Uint8Array, at: number, end: number): { from: number; length: number } | undefined {
  const first = bytes[at + 1];
  if (first === undefined || at + 1 >= end) return undefined;
  if (first < 0x80) return { from: at + 2, length: first };
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw new Malformed(`a length of ${count} bytes`);
  if (end - (at + 2) < count) return undefined;
  let length = 0;
  for (let n = 0; n < count; n++) length = length * 256 + bytes[at + 2 + n]!;
  return { from: at + 2 + count, length };
}
