import type { PointAbout } from './point-about.ts';

/** mongod refuses files whose layout differs from its options, so the copy's own layout is given. */
export function storageArguments({ storage }: PointAbout): string[] {
  return [...(storage.directoryPerDb ? ['--directoryperdb'] : []), ...(storage.directoryForIndexes ? ['--wiredTigerDirectoryForIndexes'] : [])];
}
