/**
 * A whole replica set, brought to a moment, in data directories on this host.
 *
 *   1. plan       every directory, port, byte and refusal, before anything is touched
 *   2. lay down   the point's files, beside the first target
 *   3. reach      native replay to the moment; the new configuration is written in the same go
 *   4. copy       the finished directory beside the other targets
 *   5. look       at every target again, for what has changed since the plan
 *   6. rename     old directories aside, new ones in place (take-places.ts)
 *   7. start      if asked: every member, until the set has a primary and has taken a majority write
 *
 * Promise: a restore that fails or is stopped before 7 leaves every target as it was and removes what it built. One that
 * fails in 7 leaves complete directories, nothing running, and the commands that start them.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { showTime } from '../../base/cluster-time.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { bringTo } from '../../mongo/native-replay.ts';
import type { ArchiveReader } from '../../repository/archive.ts';
import { copyDirectory } from '../directory-copy.ts';
import { openMoment, requireChunks, sayMoment, type Moment } from '../moment.ts';
import { replayOf } from '../reach.ts';
import { makeLog, newKey, startCommand, startSet, writeKey } from '../set-start.ts';
import { takePlaces } from '../take-places.ts';
import { inspectTargets, removeBuilding, requireSpace, requireUnchanged, startBuilding, type Target } from '../target-directory.ts';
import type { TaskContext } from '../task-context.ts';
import { archivedBytes } from '../window.ts';

type Input = TaskInput<'restore-set'>;
type Output = TaskOutput<'restore-set'>;

export async function restoreSet(input: Input, context: TaskContext): Promise<Output> {
  const startedMs = context.clock.monotonicMs();
  context.step('plan');
  const moment = await openMoment(input.archive, input.point, input.at, context);
  const targets = await inspectTargets(input.members);
  const bytes = moment.point.files.reduce((sum, file) => sum + file.bytes, 0);
  await requireSpace(targets, bytes + (await replayBytes(moment)));
  const plan = planOf(moment, input, targets, bytes);
  for (const line of plan) context.say(line);
  const startCommands = input.members.map((member) => startCommand(moment, input.setName, member));
  const done = (keptAside: string[]): Output => ({
    at: moment.at,
    documents: null,
    seconds: (context.clock.monotonicMs() - startedMs) / 1000,
    plan,
    applied: input.apply,
    startCommands,
    keptAside,
  });
  if (!input.apply) return done([]);
  const key = newKey(moment);
  const keptAside = await buildAndPlace(moment, input, targets, { bytes, key }, context);
  for (const aside of keptAside) context.say(`the old directory is kept as ${aside}`);
  for (const member of input.members) await makeLog(member);
  if (input.start) {
    await startSet(moment, input, key, context).catch((error: unknown) => {
      for (const command of startCommands) context.say(`start it with: ${command.join(' ')}`);
      throw error;
    });
  }
  return done(keptAside);
}

/** The archived range comes twice: into the oplog, and into the data it is applied to. */
async function replayBytes({ archive, point, at, span }: Moment): Promise<number> {
  return 2 * archivedBytes(await archive.oplog.slices(span.chain), point.checkpoint, at);
}

async function buildAndPlace(moment: Moment, input: Input, targets: readonly Target[], { bytes, key }: { bytes: number; key: string | undefined }, context: TaskContext): Promise<string[]> {
  try {
    for (const target of targets) await startBuilding(target);
    await build(moment, input, targets, bytes, context);
    for (const { building } of targets) await writeKey(building, key);
    context.step('put the directories in place');
    context.signal.throwIfAborted();
    await requireUnchanged(targets, input.members);
    return await takePlaces(targets, new Date(context.clock.now()).toISOString().replaceAll(/[-:]|\..*/g, ''));
  } catch (error) {
    for (const target of targets) {
      await removeBuilding(target).catch((why: Error) => context.say(`${target.building} could not be removed: ${why.message}`, 'warning'));
    }
    throw error;
  }
}

function planOf(moment: Moment, input: Input, targets: readonly Target[], bytes: number): string[] {
  const size = `${(bytes / 1e9).toFixed(2)} GB`;
  return [
    sayMoment(moment),
    `replica set ${input.setName} of ${targets.length}, ${size} each, replayed from ${showTime(moment.point.checkpoint)} to ${showTime(moment.at)}`,
    ...targets.map((target, k) => {
      const { host, port } = input.members[k]!;
      const where = target.isMountPoint ? ' inside it, because it is a mount point' : '';
      const old = target.holds === 'nothing' ? 'empty now' : `its data directory is kept aside${where}`;
      return `${target.directory} for ${host}:${port}: ${old}`;
    }),
    input.start ? 'the members are started' : 'the members are left for you to start',
  ];
}

async function build(moment: Moment, input: Input, targets: readonly Target[], bytes: number, context: TaskContext): Promise<void> {
  const [first, ...others] = targets as [Target, ...Target[]];
  const reader = await moment.archive.openReader();
  try {
    await requireChunks(reader, moment.point);
    context.step('lay the files down');
    await layDown(reader, moment, first.building, bytes, context);
  } finally {
    await reader.close();
  }
  context.step(`replay to ${showTime(moment.at)}`);
  const members = input.members.map(({ host, port }, id) => ({ id, host, port }));
  await bringTo({ ...replayOf(moment, context), dbPath: first.building, socketDir: join(context.directory, 's'), newSet: { name: input.setName, members }, inspect: false });
  for (const other of others) {
    context.step(`copy for ${other.directory}`);
    await copyDirectory(first.building, other.building, context.signal);
  }
}

async function layDown(reader: ArchiveReader, moment: Moment, directory: string, bytes: number, context: TaskContext): Promise<void> {
  const counts = { processed: 0, read: 0, transferred: 0, stored: 0 };
  let hasFailed = false;
  const onBytes = (more: number): void => {
    context.signal.throwIfAborted();
    counts.processed += more;
    counts.stored += more;
    context.progress(counts, bytes, 'repository write');
  };
  await mkdir(join(directory, 'journal'), { recursive: true });
  const queue = [...moment.point.files].sort((a, b) => b.bytes - a.bytes).values();
  const lane = async (): Promise<void> => {
    for (const file of queue) {
      if (hasFailed) return;
      context.signal.throwIfAborted();
      await reader.layFile(file, join(directory, file.path), onBytes);
    }
  };
  const watched = async (): Promise<void> =>
    await lane().catch((error: unknown) => {
      hasFailed = true;
      throw error;
    });
  // None may write any more when the directory is removed.
  const failed = (await Promise.allSettled([watched(), watched(), watched()])).find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason as Error;
}
