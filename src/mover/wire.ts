/**
 * Messages of a data channel. Integers are little-endian.
 *
 *   4  bytes that follow
 *   6  number of the request; the answer carries the same
 *   1  kind: its place in `kinds`
 *   4  bytes of the head
 *   n  head: JSON
 *      body: the rest
 *
 * Lengths are judged before anything is allocated for them.
 */
import type { DataAsk } from '../contract/data-channel.ts';
import { messageBroken } from './failures.ts';
import type { SpareBuffers } from './spare-buffers.ts';

const kinds = ['beat', 'done', 'part', 'failed', 'hello', 'list', 'stat', 'read', 'put', 'create', 'append', 'commit', 'abort', 'take-back', 'free', 'retain'] as const;

export type MessageKind = DataAsk | 'beat' | 'done' | 'part' | 'failed';
/** The body has memory of its own, which readers hand on to other threads, unless it came in a spare buffer. */
export type Message = { readonly id: number; readonly kind: MessageKind; readonly head: unknown; readonly body: Buffer; readonly spare?: Buffer };

const prefixBytes = 15;
const headMost = 1 << 20;
/** Of a `put`; everything longer goes in pieces. */
export const bodyMost = 64 << 20;

/** Of an object that is sent piece by piece: a chunk of sealed frames, and a little more. */
export const pieceBytes = 1088 << 10;

/** Room before a body for all that comes before it on the wire. */
export const headroomBytes = 1024;

/** Everything of a message but its body. */
export function encodeMessage(id: number, kind: MessageKind, head: object, bodyBytes = 0): Buffer {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  return encodeInto(Buffer.allocUnsafe(prefixBytes + headBytes), id, kind, text, headBytes, bodyBytes);
}

/** The whole message, in the memory that holds its body behind `headroomBytes`. */
export function encodeAround(carrier: Buffer, id: number, kind: MessageKind, head: object, bodyBytes: number): Buffer {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const from = headroomBytes - prefixBytes - headBytes;
  if (from < 0) throw new Error(`the head of a ${kind} takes ${headBytes} bytes`);
  encodeInto(carrier.subarray(from), id, kind, text, headBytes, bodyBytes);
  return carrier.subarray(from, headroomBytes + bodyBytes);
}

function encodeInto(out: Buffer, id: number, kind: MessageKind, text: string, headBytes: number, bodyBytes: number): Buffer {
  out.writeUInt32LE(prefixBytes - 4 + headBytes + bodyBytes, 0);
  out.writeUIntLE(id, 4, 6);
  out[10] = kinds.indexOf(kind);
  out.writeUInt32LE(headBytes, 11);
  out.write(text, prefixBytes);
  return out;
}

export type Parser = {
  /** Calls back for each message that this piece completes; throws `mover.message-broken`. */
  push(piece: Buffer): void;
};

type Begun = { readonly id: number; readonly kind: MessageKind; readonly headBytes: number; readonly rest: Buffer; readonly spare: Buffer | undefined; filled: number };

/** Smaller ones are made faster than they are kept. */
const spareFrom = 64 << 10;

/** `most` is asked for each message: it is small until the peer has greeted. Large pieces of objects come in `spares`. */
export function openParser(onMessage: (message: Message) => void, most: () => number = () => bodyMost, spares?: SpareBuffers): Parser {
  const prefix = Buffer.alloc(prefixBytes);
  let prefixed = 0;
  let begun: Begun | undefined;

  const begin = (): Begun => {
    const headBytes = prefix.readUInt32LE(11);
    const restBytes = prefix.readUInt32LE(0) - (prefixBytes - 4);
    const kind = kinds[prefix[10]!];
    if (kind === undefined) throw messageBroken({ why: `its kind is ${prefix[10]}` });
    if (restBytes < headBytes || headBytes > Math.min(headMost, most()) || restBytes - headBytes > most()) throw messageBroken({ why: 'its lengths cannot be' });
    const spare = kind === 'append' && restBytes >= spareFrom ? spares?.take(restBytes) : undefined;
    const rest = spare?.subarray(0, restBytes) ?? Buffer.allocUnsafeSlow(restBytes);
    return { id: prefix.readUIntLE(4, 6), kind, headBytes, rest, spare, filled: 0 };
  };

  const finish = ({ id, kind, headBytes, rest, spare }: Begun): void => {
    let head: unknown;
    try {
      head = JSON.parse(rest.toString('utf8', 0, headBytes));
    } catch (cause) {
      throw messageBroken({ why: 'its head is not JSON' }, cause);
    }
    onMessage({ id, kind, head, body: rest.subarray(headBytes), spare });
  };

  return {
    push(piece) {
      for (let at = 0; at < piece.length || (begun !== undefined && begun.filled === begun.rest.length); ) {
        if (begun === undefined) {
          const count = piece.copy(prefix, prefixed, at, at + prefixBytes - prefixed);
          prefixed += count;
          at += count;
          if (prefixed < prefixBytes) return;
          prefixed = 0;
          begun = begin();
        }
        const count = piece.copy(begun.rest, begun.filled, at, at + begun.rest.length - begun.filled);
        begun.filled += count;
        at += count;
        if (begun.filled < begun.rest.length) return;
        const whole = begun;
        begun = undefined;
        finish(whole);
      }
    },
  };
}
