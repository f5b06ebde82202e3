/** TOTP, RFC 6238: HMAC-SHA-1 over the step of the time, six digits, 30 seconds. What every authenticator does. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const stepMs = 30_000;
/** Clocks of telephones are off by a little. */
const stepsEitherWay = 1;

export function newSecret(): string {
  return base32(randomBytes(20));
}

export function authenticatorUri(secret: string, user: string): string {
  return `otpauth://totp/${encodeURIComponent(`Tidemark:${user}`)}?secret=${secret}&issuer=Tidemark&algorithm=SHA1&digits=6&period=30`;
}

/** The step whose code this is, newest first; undefined when it is of none near now. */
export function stepOf(secret: string, code: string, nowMs: number): number | undefined {
  const now = Math.floor(nowMs / stepMs);
  for (let step = now + stepsEitherWay; step >= now - stepsEitherWay; step--) {
    if (timingSafeEqual(Buffer.from(codeAt(secret, step)), Buffer.from(code.padEnd(6).slice(0, 6)))) return step;
  }
  return undefined;
}

export function codeAt(secret: string, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac('sha1', fromBase32(secret)).update(counter).digest();
  const at = digest.at(-1)! & 0xf;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => letters[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)));
}
