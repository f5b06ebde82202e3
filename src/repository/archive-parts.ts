import type { ArchiveKeys } from './keys.ts';
import type { ObjectNames } from './object-names.ts';
import type { PackStore } from './pack-store.ts';
import type { PointStore } from './points.ts';
import type { Storage } from './storage/storage.ts';

/** What the parts of one archive share. */
export type ArchiveParts = {
  readonly setId: string;
  readonly storage: Storage;
  readonly keys: ArchiveKeys;
  readonly names: ObjectNames;
  readonly points: PointStore;
  readonly packs: PackStore;
};
