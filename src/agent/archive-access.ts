import { mkdir } from 'node:fs/promises';
import { openDirectory } from '../repository/storage/directory.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { openArchive, type Archive } from '../repository/archive.ts';
import type { ArchiveAccess, RepositoryLocation } from '../contract/values.ts';

export async function openStorage(location: RepositoryLocation, options: { create: boolean } = { create: false }): Promise<Storage> {
  if (options.create) await mkdir(location.path, { recursive: true, mode: 0o700 });
  return await openDirectory(location.path);
}

export async function openArchiveAt(access: ArchiveAccess): Promise<Archive> {
  return await openArchive(await openStorage(access.location), access.setId, Buffer.from(access.keyHex, 'hex'));
}
