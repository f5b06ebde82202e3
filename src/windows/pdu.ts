/**
 * The messages of connection-oriented RPC (C706 chapter 12, MS-RPCE 2.2.2), as bytes.
 *
 *   0  version 5.0 · 2 kind · 3 flags · 4 little-endian, ASCII, IEEE · 8 length of this fragment · 10 length of its proof · 12 call
 *
 * A fragment with a proof ends in eight bytes about it and then the proof. What is read comes from another machine: a fragment is
 * taken in only when each of its lengths fits into those around it.
 */
import { Malformed, NdrReader, NdrWriter, uuidBytes } from './ndr.ts';

export const kind = { request: 0, response: 2, fault: 3, bind: 11, bindAck: 12, bindNak: 13, auth3: 16 } as const;

/** An interface and its version. */
export type Interface = { readonly uuid: string; readonly major: number; readonly minor: number };
/** `privacy` is the only level that is used: signed and sealed. */
export type Proof = { readonly padding: number; readonly value: Buffer };
export type Fragment = { readonly kind: number; readonly isLast: boolean; readonly call: number; readonly body: Buffer; readonly proof: Buffer | undefined; readonly padding: number; readonly bytes: Buffer };

export const headerBytes = 16;
export const trailerBytes = 8;
/** What both sides offer and no fragment may pass. */
export const mostFragmentBytes = 5840;
/** Of all fragments of an answer together. */
export const mostAnswerBytes = 1 << 20;

const ndr: Interface = { uuid: '8a885d04-1ceb-11c9-9fe8-08002b104860', major: 2, minor: 0 };
const ntlmssp = 10;
const privacy = 6;
const whole = 3;
const context = 79_231;

const syntax = ({ uuid, major, minor }: Interface): Buffer => new NdrWriter().raw(uuidBytes(uuid)).u16(major).u16(minor).done();

export function writeFragment(of: number, call: number, body: Buffer, proof?: Proof): Buffer {
  const header = Buffer.from([5, 0, of, whole, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const trailer = proof === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([ntlmssp, privacy, proof.padding, 0]), new NdrWriter().u32(context).done(), proof.value]);
  header.writeUInt16LE(headerBytes + body.length + trailer.length, 8);
  header.writeUInt16LE(proof?.value.length ?? 0, 10);
  header.writeUInt32LE(call, 12);
  return Buffer.concat([header, body, trailer]);
}

export function bindBody(to: Interface): Buffer {
  return new NdrWriter().u16(mostFragmentBytes).u16(mostFragmentBytes).u32(0).raw(Buffer.from([1, 0, 0, 0])).u16(0).raw(Buffer.from([1, 0])).raw(syntax(to)).raw(syntax(ndr)).done();
}

export const requestBody = (opnum: number, stub: Buffer): Buffer => Buffer.concat([new NdrWriter().u32(stub.length).u16(0).u16(opnum).done(), stub]);

/** How many bytes the fragment at the beginning of `bytes` has, or undefined when that has not come yet. */
export function fragmentLength(bytes: Buffer): number | undefined {
  if (bytes.length < headerBytes) return undefined;
  if (bytes[0] !== 5 || bytes[1] !== 0) throw new Malformed('it is no RPC of version 5');
  if (bytes[4] !== 0x10) throw new Malformed('its numbers are in another form');
  const length = bytes.readUInt16LE(8);
  if (length < headerBytes || length > mostFragmentBytes) throw new Malformed(`a fragment of ${length} bytes`);
  return length;
}

/** `bytes` is one fragment, as long as it says. */
export function readFragment(bytes: Buffer): Fragment {
  const proofBytes = bytes.readUInt16LE(10);
  const tail = proofBytes === 0 ? 0 : proofBytes + trailerBytes;
  const end = bytes.length - tail;
  if (end < headerBytes) throw new Malformed(`a proof of ${proofBytes} bytes in a fragment of ${bytes.length}`);
  const padding = tail === 0 ? 0 : bytes[end + 2]!;
  if (end - padding < headerBytes) throw new Malformed(`${padding} bytes of padding in a fragment of ${bytes.length}`);
  if (tail > 0 && (bytes[end] !== ntlmssp || bytes[end + 1] !== privacy)) throw new Malformed('its proof is of another kind');
  return { kind: bytes[2]!, isLast: (bytes[3]! & 2) !== 0, call: bytes.readUInt32LE(12), body: bytes.subarray(headerBytes, end), proof: tail === 0 ? undefined : bytes.subarray(end + trailerBytes), padding, bytes };
}

/** Throws unless the interface that was asked for was taken. */
export function readBindAck(body: Buffer): void {
  const read = new NdrReader(body);
  read.raw(8);
  read.raw(read.u16());
  const results = read.count(8, 'results of a bind');
  const [result, reason] = [read.u16(), read.u16()];
  if ((results & 0xff) === 0 || result !== 0) throw new Malformed(`the interface was not taken (result ${result}, reason ${reason})`);
}

/** The bytes of a call's answer in a response: what comes before them are 8 bytes about it. */
export const stubStart = 8;

export function faultStatus(body: Buffer): number {
  const read = new NdrReader(body);
  read.raw(8);
  return read.u32();
}
