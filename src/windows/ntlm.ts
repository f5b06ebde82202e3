/**
 * NTLMv2 with signing and sealing (MS-NLMP), the client's side: three messages, then keys for each direction.
 *
 *   negotiate ──▶        ◀── challenge        authenticate ──▶        sealed messages ⇄
 *
 * Nothing is negotiated down. A challenge without extended session security, signing, sealing, a key exchange, 128 bits or a
 * target's description is refused: with it goes the integrity code over all three messages (MIC), by which the server notices
 * that somebody between has changed a flag. Somebody who passes the three messages on to another server (a relay) has no
 * key for what comes after them, and all of that is sealed.
 *
 * The one secret is the password. Neither it nor its hash leaves this file.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Malformed } from './ndr.ts';
import { md4, openRc4 } from './old-ciphers.ts';

export type Account = { readonly user: string; /** Empty for an account of the machine itself, or where the user is `name@domain`. */ readonly domain: string; readonly password: string };

export type Challenge = { readonly flags: number; readonly serverChallenge: Buffer; readonly pairs: ReadonlyMap<number, Buffer>; readonly bytes: Buffer };
/** `exportedKey` and `clientChallenge` are random; the published vectors give both. */
export type Chance = { readonly clientChallenge: Buffer; readonly exportedKey: Buffer };
export type Answered = { readonly message: Buffer; readonly exportedKey: Buffer };

const flag = { unicode: 0x1, target: 0x4, sign: 0x10, seal: 0x20, ntlm: 0x200, alwaysSign: 0x8000, extended: 0x80000, targetInfo: 0x800000, version: 0x2000000, bits128: 0x20000000, keyExchange: 0x40000000, bits56: 0x80000000 };
const wanted = Object.values(flag).reduce((all, one) => (all | one) >>> 0, 0);
const needed = { 'extended session security': flag.extended, signing: flag.sign, sealing: flag.seal, 'a key exchange': flag.keyExchange, '128 bits': flag.bits128, 'its description': flag.targetInfo, Unicode: flag.unicode } as const;

const signature = Buffer.from('NTLMSSP\0', 'latin1');
/** Windows 10, revision 15: servers read it and decide nothing by it. */
const version = Buffer.from([10, 0, 0x61, 0x58, 0, 0, 0, 15]);
const pair = { end: 0, flags: 6, timestamp: 7, targetName: 9 } as const;
const micAt = 72;
const payloadAt = 88;
const mostPairs = 32;

const hmacMd5 = (key: Uint8Array, ...parts: Uint8Array[]): Buffer => parts.reduce((mac, part) => mac.update(part), createHmac('md5', key)).digest();
const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');
/** Windows turns each unit by itself: `ß` stays. */
const upper = (text: string): string => Array.from(text, (one) => (one.toUpperCase().length === one.length ? one.toUpperCase() : one)).join('');

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function negotiateMessage(): Buffer {
  const nothing = Buffer.alloc(8);
  return Buffer.concat([signature, u32(1), u32(wanted), nothing, nothing, version]);
}

/** The bytes that a field at `at` names: length, allocated length, offset. */
function fieldOf(message: Buffer, at: number): Buffer {
  const [length, offset] = [message.readUInt16LE(at), message.readUInt32LE(at + 4)];
  if (offset + length > message.length) throw new Malformed(`a field of the challenge ends at ${offset + length}, and it has ${message.length} bytes`);
  return message.subarray(offset, offset + length);
}

export function readChallenge(bytes: Buffer): Challenge {
  if (bytes.length < 48 || !bytes.subarray(0, 8).equals(signature) || bytes.readUInt32LE(8) !== 2) throw new Malformed('it is no challenge of NTLM');
  const flags = bytes.readUInt32LE(20);
  for (const [what, bit] of Object.entries(needed)) if ((flags & bit) === 0) throw new Malformed(`the challenge of NTLM leaves out ${what}`);
  const info = fieldOf(bytes, 40);
  const pairs = new Map<number, Buffer>();
  for (let at = 0; ; ) {
    if (at + 4 > info.length || pairs.size > mostPairs) throw new Malformed('the description in the challenge has no end');
    const [id, length] = [info.readUInt16LE(at), info.readUInt16LE(at + 2)];
    if (id === pair.end) break;
    if (at + 4 + length > info.length) throw new Malformed('a value in the description runs over its end');
    pairs.set(id, info.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { flags, serverChallenge: Buffer.from(bytes.subarray(24, 32)), pairs, bytes };
}

function writePairs(pairs: ReadonlyMap<number, Buffer>): Buffer {
  const header = (id: number, length: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt16LE(id);
    bytes.writeUInt16LE(length, 2);
    return bytes;
  };
  return Buffer.concat([...[...pairs].flatMap(([id, value]) => [header(id, value.length), value]), header(pair.end, 0)]);
}

/** MS-NLMP 3.3.2: the proof, and the key that the session's own goes under. */
export function proofOf({ user, domain, password }: Account, serverChallenge: Buffer, clientChallenge: Buffer, time: Buffer, pairs: Buffer): { ntResponse: Buffer; lmResponse: Buffer; baseKey: Buffer } {
  const key = hmacMd5(md4(utf16(password)), utf16(upper(user) + domain));
  const rest = Buffer.concat([Buffer.from([1, 1, 0, 0, 0, 0, 0, 0]), time, clientChallenge, Buffer.alloc(4), pairs, Buffer.alloc(4)]);
  const proof = hmacMd5(key, serverChallenge, rest);
  return { ntResponse: Buffer.concat([proof, rest]), lmResponse: Buffer.concat([hmacMd5(key, serverChallenge, clientChallenge), clientChallenge]), baseKey: hmacMd5(key, proof) };
}

/** 100 ns since 1601. */
function fileTime(nowMs: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE((BigInt(Math.floor(nowMs)) + 11_644_473_600_000n) * 10_000n);
  return bytes;
}

/** `target` is the service that is meant, such as `host/win1`: a server that looks at it notices a relay. */
export function authenticate(account: Account, negotiate: Buffer, challenge: Challenge, options: { target: string; nowMs: number; chance: Chance }): Answered {
  const { clientChallenge, exportedKey } = options.chance;
  const pairs = new Map(challenge.pairs);
  const before = pairs.get(pair.flags);
  pairs.set(pair.flags, u32((before?.length === 4 ? before.readUInt32LE() : 0) | 2));
  pairs.set(pair.targetName, utf16(options.target));
  const stamped = challenge.pairs.get(pair.timestamp);
  const time = stamped?.length === 8 ? stamped : fileTime(options.nowMs);
  const { ntResponse, lmResponse, baseKey } = proofOf(account, challenge.serverChallenge, clientChallenge, time, writePairs(pairs));
  const flags = (challenge.flags & wanted) >>> 0;
  // With a time of the server's in the challenge the old answer is left empty (3.1.5.1.2).
  const fields = [stamped === undefined ? lmResponse : Buffer.alloc(24), ntResponse, utf16(account.domain), utf16(account.user), Buffer.alloc(0), openRc4(baseKey)(exportedKey)];
  let offset = payloadAt;
  const headers = fields.map((field) => {
    const header = Buffer.alloc(8);
    header.writeUInt16LE(field.length);
    header.writeUInt16LE(field.length, 2);
    header.writeUInt32LE(offset, 4);
    offset += field.length;
    return header;
  });
  const message = Buffer.concat([signature, u32(3), ...headers, u32(flags), version, Buffer.alloc(16), ...fields]);
  hmacMd5(exportedKey, negotiate, challenge.bytes, message).copy(message, micAt);
  return { message, exportedKey };
}

export type Sealing = {
  /** `whole` is what is signed, `part` what of it is sealed; both in the clear. */
  seal(whole: Buffer, part: Buffer): { sealed: Buffer; signature: Buffer };
  /** `wholeWith` puts the opened part back into what is signed. Undefined when the signature is another one. */
  open(sealed: Buffer, signature: Buffer, wholeWith: (opened: Buffer) => Buffer): Buffer | undefined;
};

/** The keys of both directions, each with its own count of messages. */
export function openSealing(exportedKey: Buffer, from: 'client' | 'server' = 'client'): Sealing {
  const derive = (what: string): Buffer => createHash('md5').update(exportedKey).update(`session key to ${what} key magic constant\0`, 'latin1').digest();
  const direction = (name: string) => ({ signing: derive(`${name} signing`), cipher: openRc4(derive(`${name} sealing`)), count: 0 });
  const [there, back] = [direction('client-to-server'), direction('server-to-client')];
  const [ours, theirs] = from === 'client' ? [there, back] : [back, there];
  const sign = (keys: ReturnType<typeof direction>, whole: Buffer): Buffer => {
    const count = u32(keys.count++);
    return Buffer.concat([u32(1), keys.cipher(hmacMd5(keys.signing, count, whole).subarray(0, 8)), count]);
  };
  return {
    seal(whole, part) {
      const sealed = ours.cipher(part);
      return { sealed, signature: sign(ours, whole) };
    },
    open(sealed, shown, wholeWith) {
      const opened = theirs.cipher(sealed);
      const right = sign(theirs, wholeWith(opened));
      return shown.length === right.length && timingSafeEqual(shown, right) ? opened : undefined;
    },
  };
}
