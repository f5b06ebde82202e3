/** Opens a place of any kind. The programs behind a kind are loaded when one of it is opened. */
import { openDirectory } from './directory.ts';
import type { StoragePlace } from './location.ts';
import type { Storage } from './storage.ts';

/** `create`: makes the folder or prefix where the kind has such a thing; a share or a bucket itself is never made. */
export async function openStorage({ location, secret }: StoragePlace, options: { create: boolean } = { create: false }): Promise<Storage> {
  switch (location.kind) {
    case 'directory':
      return await openDirectory(location.path, options);
    case 'smb':
      return await (await import('./smb.ts')).openShare(location, secret ?? '', options);
    case 's3':
      return await (await import('./s3.ts')).openBucket(location, secret ?? '', options);
  }
}
