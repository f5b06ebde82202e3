/**
 * One restore point of a set, from a member whose mongod runs on this host.
 *
 * Order, and why:
 *   1. look         at the member and refuse what cannot be copied, before anything is touched
 *   2. undo         what a killed backup left (a lock that we hold, clones)
 *   3. copy         by the ladder of mongo/copy; its files go to the archive chunk by chunk
 *   4. publish      the manifest: from here the point exists
 *   5. forget       what the copy no longer needs; keep the clone that the next backup compares with
 *
 * The server then has the point proved; this task claims nothing about it.
 */
import { join } from 'node:path';
import { showTime } from '../../base/cluster-time.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { openClient } from '../../mongo/connect.ts';
import { takeCopy, type FileToRead } from '../../mongo/copy/ladder.ts';
import { undoLeftovers } from '../../mongo/copy/leftovers.ts';
import { requireCopySource } from '../../mongo/refusals.ts';
import type { Archive, ArchiveWriter, PointManifest, StoredFile } from '../../repository/archive.ts';
import { sortableId } from '../../base/ids.ts';
import { openArchiveAt } from '../archive-access.ts';
import { aboutOf, type PointAbout } from '../point-about.ts';
import { chainSpans, summaryOf } from '../window.ts';
import type { TaskContext } from '../task-context.ts';

type Input = TaskInput<'backup'>;

export async function backUp(input: Input, context: TaskContext): Promise<TaskOutput<'backup'>> {
  const startedMs = context.clock.monotonicMs();
  const source = `${input.source.host}:${input.source.port}`;
  context.step(`look at ${source}`);
  await using client = await openClient(input.target, { member: input.source });
  const local = await requireCopySource(client, input.source);
  const workDirectory = join(context.keepDirectory, 'copies', input.archive.setId);
  for (const undone of await undoLeftovers({ client, local, workDirectory, log: context.log })) context.say(undone, 'warning');

  context.step('open the archive');
  const archive = await openArchiveAt(input.archive);
  const points = await archive.points();
  const previous = points.findLast((point) => aboutOf(point).source === source) ?? points.at(-1);
  const writer = await archive.openWriter({ level: input.compression, clock: context.clock });
  try {
    const files = storing(writer, input.fullRead ? undefined : previous, context);
    const copy = await takeCopy(
      {
        client,
        local,
        source,
        workDirectory,
        method: input.method,
        windowMs: input.windowSeconds * 1000,
        previous: input.fullRead || previous === undefined ? undefined : { point: previous.id, source: aboutOf(previous).source, remembered: aboutOf(previous).remembered },
        keepClone: !input.dropClone,
        guardian: [...context.programs.node, context.programs.guardian],
        log: context.log,
        signal: context.signal,
      },
      files.store,
    );
    context.say(`${copy.method} copy of checkpoint ${showTime(copy.checkpoint)}, lock held ${copy.lockedMs} ms`);
    for (const note of copy.notes) context.say(note);
    context.step('publish the restore point');
    await writer.flush();
    const id = sortableId(context.clock);
    const about: PointAbout = {
      form: 1,
      setName: archive.setName,
      source,
      method: copy.method,
      mongoVersion: copy.mongoVersion,
      featureCompatibilityVersion: copy.featureCompatibilityVersion,
      storage: copy.storage,
      binary: local.binary,
      lockedMs: copy.lockedMs,
      notes: copy.notes,
      remembered: copy.remembered,
    };
    const point = await writer.publish({ id, checkpoint: copy.checkpoint, top: copy.top, about, files: files.finished(copy.files) });
    await copy.keepFor(id);
    return { point: await summarised(archive, point), lockedMs: copy.lockedMs, seconds: (context.clock.monotonicMs() - startedMs) / 1000 };
  } finally {
    await writer.close();
  }
}

async function summarised(archive: Archive, point: PointManifest): Promise<TaskOutput<'backup'>['point']> {
  return await summaryOf(archive, point, await chainSpans(archive));
}

/** Two files at a time keep the workers busy over the ends of small files; chunks within a file go in parallel anyway. */
const filesAtOnce = 4;

/** Stores passes of files; a file of a later pass replaces the same path of an earlier one, and is compared with it. */
function storing(writer: ArchiveWriter, base: PointManifest | undefined, context: TaskContext) {
  const before = new Map(base?.files.map((file) => [file.path, file]));
  const stored = new Map<string, StoredFile>();
  const one = async (file: FileToRead, expected: number): Promise<void> => {
    context.signal.throwIfAborted();
    const from = stored.get(file.path) ?? before.get(file.path);
    const changed = file.unchanged === true ? [] : file.changed;
    const answer = await writer.storeFile({ path: file.path, from: file.from, bytes: file.bytes, mode: file.mode, base: from, changed: from === undefined ? undefined : changed });
    if (answer.kind === 'stored') stored.set(file.path, answer.file);
    else context.say(`${file.path} vanished while it was copied; the checkpoint does not need it`);
    context.progress(writer.counts, expected);
  };
  return {
    async store(files: readonly FileToRead[], pass: 'pre' | 'final'): Promise<void> {
      const expected = files.reduce((sum, file) => sum + file.bytes, 0);
      context.step(pass === 'pre' ? `pre-copy ${files.length} files` : `store ${files.length} files`);
      // The big files first: the last one to end decides how long all take.
      const queue = [...files].sort((a, b) => b.bytes - a.bytes).values();
      const lane = async (): Promise<void> => {
        for (const file of queue) await one(file, expected);
      };
      await Promise.all(Array.from({ length: filesAtOnce }, lane));
    },
    finished(files: readonly { path: string }[]): StoredFile[] {
      return files.flatMap(({ path }) => stored.get(path) ?? []);
    },
  };
}
