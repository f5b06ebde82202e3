/**
 * What a TLS client says first, in the clear: the name it asks for and the protocols it speaks. It is enough to choose
 * who answers on a port that several services share; nothing in it is believed.
 */
import type { Socket } from 'node:net';

export type ClientHello = { readonly serverName: string | undefined; readonly protocols: readonly string[] };

const helloMs = 10_000;
const mostBytes = 16 << 10;
const serverNameType = 0;
const protocolsType = 16;

/** `more` while it is not whole; `other` where it is not TLS, or not in one record, as every client sends it. */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | 'other' {
  if (bytes.length < 5) return bytes.length > 0 && bytes[0] !== 22 ? 'other' : 'more';
  const recordBytes = bytes.readUInt16BE(3);
  if (bytes[0] !== 22 || recordBytes > mostBytes) return 'other';
  if (bytes.length < 5 + recordBytes) return 'more';
  try {
    return parse(bytes.subarray(5, 5 + recordBytes));
  } catch (error) {
    if (error instanceof RangeError) return 'other';
    throw error;
  }
}

/** Reading beyond the end is a RangeError. */
function parse(message: Buffer): ClientHello | 'other' {
  if (message.readUInt8(0) !== 1 || message.readUIntBE(1, 3) + 4 !== message.length) return 'other';
  let at = 4 + 2 + 32;
  at += 1 + message.readUInt8(at);
  at += 2 + message.readUInt16BE(at);
  at += 1 + message.readUInt8(at);
  const end = at + 2 + message.readUInt16BE(at);
  let serverName: string | undefined;
  const protocols: string[] = [];
  for (at += 2; at < end; ) {
    const type = message.readUInt16BE(at);
    const length = message.readUInt16BE(at + 2);
    const body = message.subarray(at + 4, at + 4 + length);
    if (type === serverNameType && length > 5) serverName = body.toString('latin1', 5, 5 + body.readUInt16BE(3));
    if (type === protocolsType) for (let k = 2; k < length; k += 1 + body.readUInt8(k)) protocols.push(body.toString('latin1', k + 1, k + 1 + body.readUInt8(k)));
    at += 4 + length;
  }
  return { serverName, protocols };
}

/** Reads a connection's first bytes and stops: `decide` gets it paused, with what was read. One that says nothing is hung up on. */
export function peekClientHello(socket: Socket, decide: (hello: ClientHello | 'other', first: Buffer) => void): void {
  let first = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), helloMs);
  const onData = (piece: Buffer): void => {
    first = Buffer.concat([first, piece]);
    const hello = readClientHello(first);
    if (hello === 'more') return;
    clearTimeout(timer);
    socket.off('data', onData);
    socket.pause();
    decide(hello, first);
  };
  socket.on('data', onData);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
}
