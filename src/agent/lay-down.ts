/**
 * Members of a set, laid down in their building directories and brought to a moment: the point's files once, native
 * replay with the configuration of the whole set, and a copy of the finished directory for each further member.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { atOnce } from '../base/at-once.ts';
import { sayTime } from '../base/cluster-time.ts';
import { syncDirectory } from '../base/whole-file.ts';
import { bringTo, type NewSet } from '../mongo/native-replay.ts';
import type { ArchiveReader } from '../repository/archive.ts';
import { layingHeldUpBy } from './bottleneck.ts';
import { copyDirectory } from './directory-copy.ts';
import { requireChunks, sayMoment, type Moment } from './moment.ts';
import { replayOf } from './reach.ts';
import type { Target } from './target-directory.ts';
import type { TaskContext } from './task-context.ts';
import { archivedBytes } from './window.ts';

/** What one member takes while it is laid down. The archived range comes twice: into the oplog, and into the data it is applied to. */
export async function bytesOf({ archive, point, at, span }: Moment): Promise<{ files: number; withReplay: number }> {
  const files = point.files.reduce((sum, file) => sum + file.bytes, 0);
  return { files, withReplay: files + 2 * archivedBytes((await archive.oplog.runs(span.chain)).flat(), point.checkpoint, at) };
}

export function planOfSet(moment: Moment, setName: string, members: number, bytes: number): string[] {
  const size = `${(bytes / 1e9).toFixed(2)} GB`;
  return [sayMoment(moment), `replica set ${setName} of ${members}, ${size} each, replayed from ${sayTime(moment.point.checkpoint)} to ${sayTime(moment.at)}`];
}

export function planOfTarget(target: Target, { host, port }: { host: string; port: number }): string {
  const where = target.isMountPoint ? ' inside it, because it is a mount point' : '';
  const old = target.holds === 'nothing' ? 'nothing is there now' : `its data directory is kept aside${where}`;
  return `${target.directory} for ${host}:${port}: ${old}`;
}

export async function layDown(moment: Moment, newSet: NewSet, targets: readonly Target[], bytes: number, context: TaskContext): Promise<void> {
  const [first, ...others] = targets as [Target, ...Target[]];
  const reader = await moment.archive.openReader();
  try {
    await requireChunks(reader, moment.point);
    context.step('lay the files down');
    await layFiles(reader, moment, first.building, bytes, context);
  } finally {
    await reader.close();
  }
  context.step(`replay to ${sayTime(moment.at)}`);
  await bringTo({ ...replayOf(moment, context, bytes), dbPath: first.building, socketDir: join(context.directory, 's'), newSet, inspect: false });
  for (const other of others) {
    context.step(`copy for ${other.directory}`);
    await copyDirectory(first.building, other.building, context.signal);
  }
}

const filesAtOnce = 3;

/** Of `a/b/c`: `a/b` and `a`. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? [] : [folder, ...foldersOf(folder)];
}

async function layFiles(reader: ArchiveReader, moment: Moment, directory: string, bytes: number, context: TaskContext): Promise<void> {
  const counts = { processed: 0, read: 0, transferred: 0, stored: 0 };
  const onBytes = (more: number): void => {
    context.signal.throwIfAborted();
    counts.processed += more;
    counts.stored += more;
    context.progress(counts, bytes, layingHeldUpBy(reader.slowest(), moment.access));
  };
  // Databases and indexes may have directories of their own, and a member keeps what it rolled back in one.
  const folders = new Set(['.', 'journal', ...moment.point.files.flatMap(({ path }) => foldersOf(path))]);
  for (const folder of folders) await mkdir(join(directory, folder), { recursive: true });
  const files = [...moment.point.files].sort((a, b) => b.bytes - a.bytes);
  // None may write any more when the directory is removed.
  await atOnce(filesAtOnce, files, async (file) => {
    context.signal.throwIfAborted();
    await reader.layFile(file, join(directory, file.path), onBytes);
  });
  for (const folder of folders) await syncDirectory(join(directory, folder));
}
