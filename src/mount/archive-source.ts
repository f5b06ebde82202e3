import { openArchive } from '../repository/archive.ts';
import { openLocation } from '../mover/open-location.ts';
import type { OpenSource, SourceFile } from './point-source.ts';

/** The kernel's page cache does most; this one serves the neighbours of what was asked for. */
const defaultCacheBytes = 128 << 20;

export const openArchiveSource: OpenSource = async ({ archive: access, point: pointId, identityFile, cacheBytes }, pace) => {
  const { storage, close } = await openLocation(access, identityFile, 'mount', { pace });
  const archive = await openArchive(storage, access.setId, Buffer.from(access.keyHex, 'hex'));
  const point = await archive.point(pointId);
  const reader = await archive.openReader({ cacheBytes: cacheBytes ?? defaultCacheBytes });
  const files = point.files.map((stored): SourceFile => {
    let opened: ReturnType<typeof reader.openFile> | undefined;
    const open = (): NonNullable<typeof opened> => {
      // A list of chunks that could not be read is asked for again: the disk may be back.
      opened ??= reader.openFile(stored).catch((error: unknown) => {
        opened = undefined;
        throw error;
      });
      return opened;
    };
    return {
      path: stored.path,
      bytes: stored.bytes,
      mode: stored.mode,
      read: async (from, bytes) => await (await open()).read(from, bytes),
      layDown: async (to) => await reader.layFile(stored, to),
    };
  });
  return {
    files,
    async close() {
      await reader.close();
      close();
    },
  };
};
