/**
 * A repository: one passphrase, one master key, an archive for each replica set.
 *
 * `tidemark.json` is the only object in clear: format, id, and the master key wrapped by the passphrase. Without it all
 * is lost, so it is written twice, and either copy opens the repository.
 */
import { randomBytes } from 'node:crypto';
import { isFailure } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import { systemClock } from '../base/clock.ts';
import type { About } from './archive-about.ts';
import { openObject, sealObject } from './sealed-object.ts';
import { formatUnknown, objectDamaged, passphraseWrong, repositoryExists, repositoryMissing } from './failures.ts';
import { archiveKeyOf, decrypt, encrypt, keyFromPassphrase, keysOf, nonceBytes, randomKey, scryptCost } from './keys.ts';
import { immutableOf } from './immutable.ts';
import { archivesPrefix, descriptorNames, lastPart, objectNames } from './object-names.ts';
import type { Immutable, Storage } from './storage/storage.ts';

export { openArchive } from './archive.ts';

type Descriptor = {
  readonly format: number;
  readonly id: string;
  readonly createdAtMs: number;
  readonly kdf: { readonly name: 'scrypt'; readonly N: number; readonly r: number; readonly p: number; readonly salt: string };
  /** The master key, AES-256-GCM with the passphrase's key; bound to the id. Hex. */
  readonly key: { readonly nonce: string; readonly sealed: string };
  /** Absent: what is here can be deleted. `immutable/` may say more days, never fewer. */
  readonly immutable?: Immutable;
};

export type OpenedRepository = { readonly id: string; readonly key: Uint8Array };

/** Immutable where its storage retains what is put. */
export async function createRepository(storage: Storage, passphrase: string): Promise<OpenedRepository> {
  const immutable = immutableOf(storage);
  const id = randomId();
  const key = randomKey();
  const salt = randomBytes(32);
  const nonce = randomBytes(nonceBytes);
  const wrapping = await keyFromPassphrase(passphrase, salt, scryptCost);
  const descriptor: Descriptor = {
    format: 1,
    id,
    createdAtMs: systemClock.now(),
    kdf: { name: 'scrypt', ...scryptCost, salt: salt.toString('hex') },
    key: { nonce: nonce.toString('hex'), sealed: encrypt(wrapping, nonce, key, boundTo(id)).toString('hex') },
    ...(immutable !== undefined && { immutable }),
  };
  const bytes = Buffer.from(`${JSON.stringify(descriptor, undefined, 2)}\n`);
  if ((await storage.put(descriptorNames[0], bytes, 'new')) === 'exists') throw repositoryExists({ place: storage.place });
  await storage.put(descriptorNames[1], bytes, 'replace');
  return { id, key };
}

/** Either copy of the descriptor will do; a wrong passphrase is told from a damaged copy where one of them is whole. */
export async function openRepository(storage: Storage, passphrase: string): Promise<OpenedRepository> {
  let damaged: Error | undefined;
  let wrong: Error | undefined;
  for (const { name, bytes } of await readDescriptors(storage)) {
    try {
      return await unwrap(parseDescriptor(name, bytes, storage.place), passphrase, storage.place);
    } catch (error) {
      if (isFailure(error, passphraseWrong)) wrong = error;
      else if (isFailure(error, objectDamaged)) damaged = error;
      else throw error;
    }
  }
  throw wrong ?? damaged ?? repositoryMissing({ place: storage.place });
}

async function readDescriptors(storage: Storage): Promise<{ name: string; bytes: Uint8Array }[]> {
  const found: { name: string; bytes: Uint8Array }[] = [];
  for (const name of descriptorNames) {
    if ((await storage.stat(name)) === undefined) continue;
    const bytes = await storage.read(name);
    if (!found.some((other) => Buffer.compare(other.bytes, bytes) === 0)) found.push({ name, bytes });
  }
  return found;
}

async function unwrap(descriptor: Descriptor, passphrase: string, place: string): Promise<OpenedRepository> {
  const { salt, N, r, p } = descriptor.kdf;
  const wrapping = await keyFromPassphrase(passphrase, Buffer.from(salt, 'hex'), { N, r, p });
  const key = decrypt(wrapping, Buffer.from(descriptor.key.nonce, 'hex'), Buffer.from(descriptor.key.sealed, 'hex'), boundTo(descriptor.id));
  if (key === undefined) throw passphraseWrong({ place });
  return { id: descriptor.id, key };
}

function parseDescriptor(name: string, bytes: Uint8Array, place: string): Descriptor {
  let value: Partial<Descriptor>;
  try {
    value = JSON.parse(Buffer.from(bytes).toString()) as Partial<Descriptor>;
  } catch (cause) {
    throw objectDamaged({ object: name, what: 'it is not JSON' }, cause);
  }
  if (typeof value.format === 'number' && Number.isInteger(value.format) && value.format > 1) throw formatUnknown({ place, format: value.format });
  const { kdf, key, id } = value;
  const hex = (text: unknown, bytesLong: number): boolean => typeof text === 'string' && text.length === 2 * bytesLong && /^[0-9a-f]*$/.test(text);
  const isSafeCost = kdf?.name === 'scrypt' && kdf.r === 8 && kdf.p === 1 && kdf.N >= 1 << 14 && kdf.N <= 1 << 20 && (kdf.N & (kdf.N - 1)) === 0;
  const isWhole = value.format === 1 && isSafeCost && hex(id, 16) && hex(kdf.salt, 32) && hex(key?.nonce, nonceBytes) && hex(key?.sealed, 48);
  if (!isWhole) throw objectDamaged({ object: name, what: 'a field is missing or not of its form' });
  return value as Descriptor;
}

function boundTo(id: string): Buffer {
  return Buffer.from(`tidemark 1 master key of ${id}`);
}

/** Makes the archive of a set, or finds it made. */
export async function makeArchive(storage: Storage, repositoryKey: Uint8Array, setId: string, setName: string): Promise<{ key: Uint8Array }> {
  const key = archiveKeyOf(repositoryKey, setId);
  const name = objectNames(setId).about;
  if ((await storage.stat(name)) === undefined) {
    const about: About = { form: 1, setId, setName, createdAtMs: systemClock.now() };
    await storage.put(name, sealObject(keysOf(key).object, name, about), 'new');
  }
  openObject(keysOf(key).object, name, await storage.read(name));
  return { key };
}

/** Every archive with its key: with the passphrase alone, everything can be listed and restored. */
export async function listArchives(storage: Storage, key: Uint8Array): Promise<{ setId: string; setName: string; key: Uint8Array }[]> {
  const found: { setId: string; setName: string; key: Uint8Array }[] = [];
  for await (const { name: listed } of storage.list(archivesPrefix)) {
    const setId = lastPart(listed);
    const archiveKey = archiveKeyOf(key, setId);
    const name = objectNames(setId).about;
    const about = openObject(keysOf(archiveKey).object, name, await storage.read(name)) as About;
    found.push({ setId, setName: about.setName, key: archiveKey });
  }
  return found.sort((a, b) => (a.setId < b.setId ? -1 : 1));
}
