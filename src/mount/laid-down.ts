/**
 * A restore point as plain files, where no mount can be had: every byte is copied before the first is used.
 *
 * The marker is written last, so that a directory that is kept and used again is either whole or laid down anew.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atOnce } from '../base/at-once.ts';
import { mountNoRoom, overlayForeign } from './failures.ts';
import type { PointSource } from './point-source.ts';
import { digestOf, plantTree } from './tree.ts';

const filesAtOnce = 2;

/** Answers the data directory. */
export async function layDownPoint(source: PointSource, directory: string, signal?: AbortSignal): Promise<string> {
  const files = join(directory, 'files');
  const marker = join(directory, 'laid-down');
  const digest = digestOf(source.files);
  if (existsSync(marker)) {
    if (readFileSync(marker, 'latin1') !== digest) throw overlayForeign({ directory });
    return files;
  }
  // Planting refuses paths that would lead out of the directory.
  plantTree(source.files, { uid: 0, gid: 0 }, 0);
  rmSync(files, { recursive: true, force: true });
  requireRoom(source, directory);
  mkdirSync(files, { recursive: true, mode: 0o700 });
  // None may write any more when the directory is removed.
  await atOnce(filesAtOnce, source.files, async (file) => {
    signal?.throwIfAborted();
    const to = join(files, file.path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    await file.layDown(to);
  });
  writeFileSync(marker, digest, { mode: 0o600 });
  return files;
}

/** Before the first byte: a disk that fills up half-way stops whatever else writes to it. */
function requireRoom({ files }: PointSource, directory: string): void {
  const pointBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const needsBytes = Math.ceil(pointBytes * 1.05);
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < needsBytes) throw mountNoRoom({ directory, pointBytes, needsBytes, hasBytes: bavail * bsize });
}
