/**
 * One restore point of a set, from a member whose mongod runs on this host.
 *
 * Order, and why:
 *   1. look         at the member and refuse what cannot be copied, before anything is touched; at the room there is, too
 *   2. undo         what a killed backup left (a lock that we hold, clones)
 *   3. copy         by the ladder of mongo/copy; its files go to the archive chunk by chunk
 *   4. publish      the manifest: from here the point exists
 *   5. forget       what the copy no longer needs; keep the clone that the next backup compares with
 *
 * The server then has the point proved; this task claims nothing about it.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { showTime } from '../../base/cluster-time.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { hostLabel, openClient, runCommand, toMember } from '../../mongo/connect.ts';
import { takeCopy, type Copy, type FileToRead } from '../../mongo/copy/ladder.ts';
import { undoLeftovers } from '../../mongo/copy/leftovers.ts';
import type { LocalMongod } from '../../mongo/local-mongod.ts';
import { requireCopySource } from '../../mongo/refusals.ts';
import type { Archive, ArchiveWriter, PointManifest, StoredFile } from '../../repository/archive.ts';
import { sortableId } from '../../base/ids.ts';
import { openArchiveAt } from '../archive-access.ts';
import { dataBytesOf, requireBackupRoom } from '../backup-room.ts';
import { chooseBase, type BasePoint } from '../base-point.ts';
import { storingHeldUpBy } from '../bottleneck.ts';
import { aboutOf, type PointAbout } from '../point-about.ts';
import { surveyChains } from '../chain-spans.ts';
import { summaryOf } from '../window.ts';
import type { TaskContext } from '../task-context.ts';

type Input = TaskInput<'backup'>;

export async function backUp(input: Input, context: TaskContext): Promise<TaskOutput<'backup'>> {
  const startedMs = context.clock.monotonicMs();
  const source = hostLabel(input.source);
  context.step(`look at ${source}`);
  const address = toMember(input.target, input.source);
  await using client = await openClient(address, { member: input.source });
  const local = await requireCopySource(client, input.source);
  const workDirectory = join(context.keepDirectory, 'copies');
  for (const undone of await undoLeftovers({ client, workDirectory, log: context.log })) context.say(undone, 'warning');

  context.step('open the archive');
  const archive = await openArchiveAt(input.archive, context);
  await mkdir(workDirectory, { recursive: true, mode: 0o700 });
  await requireBackupRoom(archive, workDirectory, await dataBytesOf(client, local), (await archive.points()).length === 0);
  const chosen: BasePoint = input.fullRead ? { kind: 'full-read', why: 'it was asked for' } : await chooseBase(archive, source);
  if (chosen.kind === 'full-read') context.say(`everything is read: ${chosen.why}`);
  const base = chosen.kind === 'base' ? chosen.point : undefined;
  const writer = await archive.openWriter({ level: input.compression, clock: context.clock, onProgress: () => files.onProgress() });
  const files = storing(writer, base, input.archive, context);
  try {
    const copy = await takeCopy(
      {
        client,
        address,
        local,
        workDirectory,
        method: input.method,
        windowMs: input.windowSeconds * 1000,
        previous: base === undefined ? undefined : aboutOf(base).remembered,
        keepClone: !input.dropClone,
        guardianProgram: [...context.programs.node, context.programs.guardian],
        log: context.log,
        signal: context.signal,
      },
      files.store,
    );
    try {
      const point = await publishPoint(archive, writer, base?.id ?? null, copy, local, await hasAccessControl(client), files.finished(copy.files), context);
      await copy.published();
      return { point: await summarised(archive, point), lockedMs: copy.lockedMs, seconds: (context.clock.monotonicMs() - startedMs) / 1000 };
    } catch (error) {
      await copy.forget();
      throw error;
    }
  } finally {
    await writer.close();
  }
}

async function publishPoint(archive: Archive, writer: ArchiveWriter, base: string | null, copy: Copy, local: LocalMongod, accessControl: boolean, files: StoredFile[], context: TaskContext): Promise<PointManifest> {
  context.say(`${copy.method} copy of checkpoint ${showTime(copy.checkpoint)}, lock held ${copy.lockedMs} ms`);
  for (const note of copy.notes) context.say(note);
  context.step('publish the restore point');
  await writer.flush();
  const about: PointAbout = {
    form: 1,
    setName: archive.setName,
    source: copy.source,
    method: copy.method,
    base,
    mongoVersion: copy.mongoVersion,
    featureCompatibilityVersion: copy.fcv,
    storage: local.storage,
    accessControl,
    binary: local.binary,
    lockedMs: copy.lockedMs,
    notes: [...copy.notes],
    remembered: copy.remembered,
  };
  return await writer.publish({ id: sortableId(context.clock), checkpoint: copy.checkpoint, top: copy.top ?? copy.topAtLeast, about, files });
}

async function hasAccessControl(client: MongoClient): Promise<boolean> {
  const { parsed } = await runCommand(client, 'admin', { getCmdLineOpts: 1 }, { deadlineMs: 20_000 });
  const security = (parsed?.['security'] ?? {}) as { authorization?: string; keyFile?: string };
  return security.authorization === 'enabled' || security.keyFile !== undefined;
}

async function summarised(archive: Archive, point: PointManifest): Promise<TaskOutput<'backup'>['point']> {
  return await summaryOf(archive, point, (await surveyChains(archive)).spans);
}

/** Several files at a time keep the workers busy over the ends of small ones; the chunks of a file go in parallel anyway. */
const filesAtOnce = 4;

/** Stores passes of files; a file of a later pass replaces the same path of an earlier one, and is compared with it. */
function storing(writer: ArchiveWriter, base: PointManifest | undefined, archive: Input['archive'], context: TaskContext) {
  let expected: number | null = null;
  const onProgress = (): void => context.progress(writer.counts, expected, storingHeldUpBy(writer.slowest(), archive));
  const before = new Map(base?.files.map((file) => [file.path, file]));
  const stored = new Map<string, StoredFile>();
  const one = async (file: FileToRead): Promise<boolean> => {
    context.signal.throwIfAborted();
    const from = stored.get(file.path) ?? before.get(file.path);
    const changed = file.unchanged === true ? [] : file.changed;
    const free = file.unchanged === true ? undefined : await file.free?.();
    const answer = await writer.storeFile({ path: file.path, from: file.from, bytes: file.bytes, mode: file.mode, base: from, changed: from === undefined ? undefined : changed, free });
    if (answer.kind === 'stored') stored.set(file.path, answer.file);
    onProgress();
    return answer.kind === 'stored';
  };
  return {
    onProgress,
    async store(files: readonly FileToRead[], pass: 'pre' | 'final', wanted: AbortSignal): Promise<readonly string[]> {
      expected = files.reduce((sum, file) => sum + file.bytes, 0);
      context.step(pass === 'pre' ? `pre-copy ${files.length} files` : `store ${files.length} files`);
      const gone: string[] = [];
      // The big files first: the last one to end decides how long all take.
      const queue = [...files].sort((a, b) => b.bytes - a.bytes).values();
      const lane = async (): Promise<void> => {
        for (const file of queue) {
          wanted.throwIfAborted();
          if (!(await one(file))) gone.push(file.path);
        }
      };
      await Promise.all(Array.from({ length: filesAtOnce }, lane));
      return gone;
    },
    finished: (files: readonly { path: string }[]): StoredFile[] => files.flatMap(({ path }) => stored.get(path) ?? []),
  };
}
