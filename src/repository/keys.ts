/**
 * Keys, and what each one opens. Every key is derived, none is stored but the master key.
 *
 *   passphrase ─scrypt─▶ wrapping key ─opens─▶ master key (in tidemark.json)
 *   master key ─HKDF "archive", setId─▶ archive key          all that a node is given
 *   archive key ─HKDF─▶ "chunk-id"                           keyed BLAKE3: ids leak nothing
 *                       "object"                             points, leases and other small objects; random nonces
 *                       "pack", pack id                      one for each pack; nonce = offset in the pack
 *                       "index", segment id                  one for each segment; nonce = block number
 *                       "slice", slice salt                  one for each oplog slice; nonce = block number
 *
 * A key that encrypts with counted nonces belongs to one file that is written once, so no pair of key and nonce comes twice.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from 'node:crypto';

export const keyBytes = 32;
export const tagBytes = 16;
export const nonceBytes = 12;

export function deriveKey(key: Uint8Array, purpose: string, id: Uint8Array | string = ''): Buffer {
  const info = Buffer.concat([Buffer.from(`tidemark 1 ${purpose} `), Buffer.from(id as string)]);
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), info, keyBytes));
}

export function archiveKeyOf(masterKey: Uint8Array, setId: string): Buffer {
  return deriveKey(masterKey, 'archive', setId);
}

export type ArchiveKeys = {
  readonly chunkId: Buffer;
  readonly object: Buffer;
  pack(id: string): Buffer;
  index(id: string): Buffer;
  slice(salt: Uint8Array): Buffer;
};

export function keysOf(archiveKey: Uint8Array): ArchiveKeys {
  const packs = new Map<string, Buffer>();
  return {
    chunkId: deriveKey(archiveKey, 'chunk-id'),
    object: deriveKey(archiveKey, 'object'),
    pack(id) {
      const known = packs.get(id);
      if (known !== undefined) return known;
      if (packs.size > 4096) packs.clear();
      const key = deriveKey(archiveKey, 'pack', id);
      packs.set(id, key);
      return key;
    },
    index: (id) => deriveKey(archiveKey, 'index', id),
    slice: (salt) => deriveKey(archiveKey, 'slice', salt),
  };
}

/** A nonce that counts: the number as 96 bits, little-endian. */
export function countedNonce(count: number): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  nonce.writeUIntLE(count, 0, 6);
  return nonce;
}

/** AES-256-GCM: the ciphertext with its tag behind it. */
export function encrypt(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, bound?: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  if (bound !== undefined) cipher.setAAD(bound);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/** Undefined when the bytes are not what was encrypted with this key, nonce and bound text. */
export function decrypt(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, bound?: Uint8Array): Buffer | undefined {
  if (sealed.length < tagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  if (bound !== undefined) decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const plain = decipher.update(sealed.subarray(0, sealed.length - tagBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plain;
}

/** Scrypt's cost as OWASP asks for it: 128 MiB and some tenths of a second for each guess. */
export const scryptCost = { N: 1 << 17, r: 8, p: 1 };

export async function keyFromPassphrase(passphrase: string, salt: Uint8Array, cost: typeof scryptCost): Promise<Buffer> {
  return await new Promise((resolve, reject) =>
    scrypt(passphrase.normalize('NFC'), salt, keyBytes, { ...cost, maxmem: 256 * cost.N * cost.r }, (error, key) => (error === null ? resolve(key) : reject(error))),
  );
}

export function randomKey(): Buffer {
  return randomBytes(keyBytes);
}
