import { mkdir } from 'node:fs/promises';
import { openLocation, type Share } from '../mover/open-location.ts';
import { openDirectory } from '../repository/storage/directory.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { openArchive, type Archive } from '../repository/archive.ts';
import { readOnly } from '../repository/read-only.ts';
import type { ArchiveAccess, RepositoryLocation } from '../contract/values.ts';
import { archiveElsewhere } from './failures.ts';
import type { TaskContext } from './task-context.ts';

export async function openStorage(location: RepositoryLocation, options: { create: boolean } = { create: false }): Promise<Storage> {
  if (options.create) await mkdir(location.path, { recursive: true, mode: 0o700 });
  return await openDirectory(location.path);
}

/** An archive on this host: what quick orders are about. */
export async function openArchiveHere(access: ArchiveAccess): Promise<Archive> {
  if (access.location.kind !== 'directory') throw archiveElsewhere({ setId: access.setId, host: access.location.name });
  return await openOn(await openDirectory(access.location.path), access);
}

/** An archive wherever it is, for as long as the task's process lives. `share` is for tasks that start a mount, which opens it too. */
export async function openArchiveAt(access: ArchiveAccess, context: Pick<TaskContext, 'identityFile' | 'signal'>, share: Share = 'all'): Promise<Archive> {
  const { storage } = await openLocation(access.location, context.identityFile, share, context.signal);
  return await openOn(storage, access);
}

async function openOn(storage: Storage, { setId, keyHex, isReadOnly }: ArchiveAccess): Promise<Archive> {
  return await openArchive(isReadOnly === true ? readOnly(storage) : storage, setId, Buffer.from(keyHex, 'hex'));
}
