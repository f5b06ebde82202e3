/**
 * Packages on their way in. A package is offered with its manifest, then its bytes come in pieces, in order; what is
 * here survives a restart, so that a cut connection goes on where it was. Only an archive whose every byte was checked
 * gets the name under which it is installed.
 *
 *   SHA256.part      bytes from the start of the archive, not checked
 *   SHA256.tar.gz    the archive, checked
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256OfFile } from '../../base/file-hash.ts';
import type { PackageManifest } from '../../contract/packages.ts';
import { packageDamaged, packageIncomplete, packageNotOffered } from '../failures.ts';

export type Incoming = {
  /** How many bytes of it are here. */
  offer(manifest: PackageManifest): Promise<number>;
  piece(sha256: string, offset: number, bytes: Uint8Array): Promise<number>;
  /** The checked archive. */
  archive(manifest: PackageManifest): Promise<string>;
  forget(sha256: string): Promise<void>;
  clear(): Promise<void>;
};

export async function openIncoming(directory: string): Promise<Incoming> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const offered = new Map<string, PackageManifest>();
  const part = (sha256: string): string => join(directory, `${sha256}.part`);
  const whole = (sha256: string): string => join(directory, `${sha256}.tar.gz`);
  const sizeOf = async (path: string): Promise<number | undefined> => (await stat(path).catch(() => undefined))?.size;
  /** Pieces of one package are written one after the other. */
  let tail: Promise<unknown> = Promise.resolve();

  const have = async ({ sha256, bytes }: PackageManifest): Promise<number> => {
    if ((await sizeOf(whole(sha256))) === bytes) return bytes;
    return (await sizeOf(part(sha256))) ?? 0;
  };

  async function check(manifest: PackageManifest): Promise<void> {
    if ((await sha256OfFile(part(manifest.sha256))) !== manifest.sha256) {
      await rm(part(manifest.sha256));
      throw packageDamaged({ name: manifest.name, version: manifest.version, why: 'the checksum differs' });
    }
    await rename(part(manifest.sha256), whole(manifest.sha256));
  }

  async function write(sha256: string, offset: number, bytes: Uint8Array): Promise<number> {
    const manifest = offered.get(sha256);
    if (manifest === undefined) throw packageNotOffered({ sha256 });
    const here = await have(manifest);
    if (offset > here) throw packageIncomplete({ name: manifest.name, version: manifest.version, have: here, bytes: manifest.bytes });
    const fresh = bytes.subarray(here - offset);
    if (fresh.length === 0) return here;
    if (here + fresh.length > manifest.bytes) throw packageDamaged({ name: manifest.name, version: manifest.version, why: `there are more than ${manifest.bytes} bytes` });
    const file = await open(part(sha256), here === 0 ? 'w' : 'r+', 0o600);
    try {
      await file.write(fresh, 0, fresh.length, here);
      if (here + fresh.length === manifest.bytes) await file.sync();
    } finally {
      await file.close();
    }
    if (here + fresh.length === manifest.bytes) await check(manifest);
    return here + fresh.length;
  }

  return {
    async offer(manifest) {
      offered.set(manifest.sha256, manifest);
      return await have(manifest);
    },
    async piece(sha256, offset, bytes) {
      const written = tail.then(async () => await write(sha256, offset, bytes));
      tail = written.catch(() => {});
      return await written;
    },
    async archive(manifest) {
      const here = await have(manifest);
      if (here < manifest.bytes) throw packageIncomplete({ name: manifest.name, version: manifest.version, have: here, bytes: manifest.bytes });
      return whole(manifest.sha256);
    },
    async forget(sha256) {
      offered.delete(sha256);
      for (const path of [part(sha256), whole(sha256)]) await rm(path, { force: true });
    },
    async clear() {
      for (const name of await readdir(directory)) await rm(join(directory, name), { force: true });
    },
  };
}
