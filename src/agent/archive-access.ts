import { openLocation, type Share } from '../mover/open-location.ts';
import type { StoragePlace } from '../repository/storage/location.ts';
import { openStorage, type OpenOptions } from '../repository/storage/open-storage.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { openArchive, type Archive } from '../repository/archive.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import { archiveElsewhere } from './failures.ts';
import type { TaskContext } from './task-context.ts';

/** Works with a repository that this host opens itself. */
export async function withStorage<T>(place: StoragePlace, options: OpenOptions, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openStorage(place, options);
  try {
    return await work(storage);
  } finally {
    await storage.close?.();
  }
}

/** Works with an archive that this host opens itself: what quick orders are about. */
export async function withArchiveHere<T>(access: ArchiveAccess, work: (archive: Archive) => Promise<T>): Promise<T> {
  const { location, secret, setId } = access;
  if (location.kind === 'channel') throw archiveElsewhere({ setId, host: location.name });
  return await withStorage({ location, secret }, { isReadOnly: access.isReadOnly }, async (storage) => await work(await openOn(storage, access)));
}

/** An archive wherever it is, for as long as the task's process lives. `share` is for tasks that start a mount, which opens it too. */
export async function openArchiveAt(access: ArchiveAccess, context: Pick<TaskContext, 'identityFile' | 'signal' | 'pace'>, share: Share = 'all'): Promise<Archive> {
  const { storage } = await openLocation(access, context.identityFile, share, { stop: context.signal, pace: context.pace });
  return await openOn(storage, access);
}

async function openOn(storage: Storage, { setId, keyHex }: ArchiveAccess): Promise<Archive> {
  return await openArchive(storage, setId, Buffer.from(keyHex, 'hex'));
}
