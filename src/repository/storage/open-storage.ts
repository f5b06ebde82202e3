/**
 * Opens a place of any kind. The programs behind a kind are loaded when one of it is opened.
 *
 * A repository says in its descriptor whether it is immutable, so whoever opens it, with whatever key, retains what is put: a task, a
 * mount, a served archive. `immutable` is for one that is about to be made.
 */
import { ownPlatform } from '../../base/host-platform.ts';
import { lockNotKept } from '../failures.ts';
import { readImmutable } from '../immutable.ts';
import { readOnly } from '../read-only.ts';
import { openDirectory } from './directory.ts';
import type { StoragePlace } from './location.ts';
import type { Immutable, Storage } from './storage.ts';

export type OpenOptions = {
  /** Makes the folder or prefix where the kind has such a thing; a share or a bucket itself is never made. */
  readonly create?: boolean;
  /** It is about to be written for the first time by us: a bucket shows that it keeps what it can break. */
  readonly isNew?: boolean;
  readonly immutable?: Immutable;
  /** Whoever would change something is refused. */
  readonly isReadOnly?: boolean;
  /** To a share, or for parts of objects to a bucket; Windows makes its own to a share. */
  readonly connections?: number | undefined;
};

export async function openStorage(place: StoragePlace, options: OpenOptions = {}): Promise<Storage> {
  const storage = await openKind(place, options);
  return options.isReadOnly === true ? readOnly(storage) : storage;
}

async function openKind({ location, secret }: StoragePlace, options: OpenOptions): Promise<Storage> {
  const { create, immutable } = options;
  switch (location.kind) {
    case 'directory': {
      if (immutable !== undefined) return await openDirectory(location.path, { create, immutable });
      const storage = await openDirectory(location.path, { create });
      const kept = await readImmutable(storage);
      return kept === undefined ? storage : await openDirectory(location.path, { immutable: kept });
    }
    case 'smb': {
      if (immutable !== undefined) throw lockNotKept({ place: location.share, what: noLockOnShares });
      const open = ownPlatform === 'windows' ? (await import('./share-on-windows.ts')).openShareOnWindows : (await import('./smb.ts')).openShare;
      const storage = await open(location, secret ?? '', { create: create === true, connections: options.connections });
      if (options.isReadOnly === true || (await readImmutable(storage)) === undefined) return storage;
      await storage.close?.();
      throw lockNotKept({ place: storage.place, what: `its repository says that it is immutable, and ${noLockOnShares}; attach it read-only with "tidemark repository import"` });
    }
    case 's3':
      return await (await import('./s3.ts')).openBucket(location, secret ?? '', options);
  }
}

const noLockOnShares = 'SMB has no lock that whoever may write could not lift';
