/**
 * Small objects: everything that is not a pack, an index segment or an oplog slice.
 *
 *   0   4   "TMO1"
 *   4   1   0 = JSON, 1 = JSON compressed with zstd
 *   5  12   nonce, random
 *  17   …   AES-256-GCM ciphertext, tag behind it; bound to the first five bytes and the object's name
 *
 * Bound to the name, so that two objects that change places are both damaged and not two wrong answers.
 */
import { randomBytes } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { objectDamaged } from './failures.ts';
import { decrypt, encrypt, nonceBytes } from './keys.ts';

const magic = 'TMO1';
const headBytes = 5;
const compressAbove = 512;

export function sealObject(key: Uint8Array, name: string, value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const compressed = json.length > compressAbove;
  const head = Buffer.from(`${magic}${compressed ? '\x01' : '\x00'}`, 'latin1');
  const nonce = randomBytes(nonceBytes);
  const body = encrypt(key, nonce, compressed ? zstdCompressSync(json) : json, boundTo(head, name));
  return Buffer.concat([head, nonce, body]);
}

export function openObject(key: Uint8Array, name: string, bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length < headBytes + nonceBytes || buffer.toString('latin1', 0, magic.length) !== magic) {
    throw objectDamaged({ object: name, what: 'it does not start as it must' });
  }
  const head = buffer.subarray(0, headBytes);
  const plain = decrypt(key, buffer.subarray(headBytes, headBytes + nonceBytes), buffer.subarray(headBytes + nonceBytes), boundTo(head, name));
  if (plain === undefined) throw objectDamaged({ object: name, what: 'its bytes are not those that were written' });
  return JSON.parse((head[4] === 1 ? zstdDecompressSync(plain) : plain).toString()) as unknown;
}

function boundTo(head: Uint8Array, name: string): Buffer {
  return Buffer.concat([head, Buffer.from(name)]);
}
