/**
 * Secrets at rest: AES-256-GCM with a master key that is kept beside the catalog, not in it.
 *
 *   "1." + base64( 12 bytes nonce, ciphertext, 16 bytes tag )      bound to where it is stored
 *
 * The place (table, column, row) is authenticated with it, so a sealed value moved to another row does not open.
 * A stolen catalog without the key file gives no credential, passphrase or archive key.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { secretUnreadable } from './failures.ts';
import { readSecret, writeSecret } from './secret-file.ts';

export type Sealer = {
  seal(plain: string, place: string): string;
  open(sealed: string, place: string): string;
  /** A key of its own for a purpose, made of the master key. */
  keyFor(purpose: string): Uint8Array;
  /** The master key itself, for a copy that is sealed with another. */
  readonly masterKeyHex: string;
};

export async function openSealer(path: string): Promise<Sealer> {
  const kept = await readSecret(path);
  const key = kept ?? randomBytes(32);
  if (kept === undefined) await writeSecret(path, key);
  return sealerWith(key);
}

export function sealerWith(key: Uint8Array): Sealer {
  return {
    masterKeyHex: Buffer.from(key).toString('hex'),
    keyFor: (purpose) => new Uint8Array(hkdfSync('sha256', key, '', purpose, 32)),
    seal(plain, place) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place));
      return `1.${Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')}`;
    },
    open(sealed, place) {
      try {
        if (!sealed.startsWith('1.')) throw new Error('not of form 1');
        const bytes = Buffer.from(sealed.slice(2), 'base64');
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(place));
        decipher.setAuthTag(bytes.subarray(-16));
        return decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8');
      } catch (error) {
        throw secretUnreadable({ what: place }, error);
      }
    },
  };
}
