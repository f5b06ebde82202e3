/**
 * A whole replica set, brought to a moment, in data directories on this host.
 *
 *   1. plan       every directory, port, byte and refusal, before anything is touched
 *   2. lay down   the point's files, beside the first target
 *   3. reach      native replay to the moment; the new configuration is written in the same go
 *   4. copy       the finished directory beside the other targets
 *   5. rename     old directories aside, new ones in place
 *   6. start      if asked: every member, until the set has a primary and has taken a majority write
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
import { startCommand, startSet } from '../set-start.ts';
import { inspectTarget, requireSpace, startBuilding, takePlace, type Target } from '../target-directory.ts';
import type { TaskContext } from '../task-context.ts';

type Input = TaskInput<'restore-set'>;
type Output = TaskOutput<'restore-set'>;

export async function restoreSet(input: Input, context: TaskContext): Promise<Output> {
  const startedMs = context.clock.monotonicMs();
  context.step('plan');
  const moment = await openMoment(input.archive, input.point, input.at, context);
  const targets = await Promise.all(input.members.map(async ({ directory, port }) => await inspectTarget(directory, port)));
  const bytes = moment.point.files.reduce((sum, file) => sum + file.bytes, 0);
  await requireSpace(targets, bytes);
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
  for (const target of targets) await startBuilding(target);
  await build(moment, input, targets, bytes, context);
  context.step('put the directories in place');
  const stamp = new Date(context.clock.now()).toISOString().replaceAll(/[-:]|\..*/g, '');
  const keptAside: string[] = [];
  for (const target of targets) {
    const aside = await takePlace(target, stamp);
    if (aside === undefined) continue;
    keptAside.push(aside);
    context.say(`the old directory is kept as ${aside}`);
  }
  if (input.start) await startSet(moment, input, context);
  return done(keptAside);
}

function planOf(moment: Moment, input: Input, targets: readonly Target[], bytes: number): string[] {
  const size = `${(bytes / 1e9).toFixed(2)} GB`;
  return [
    sayMoment(moment),
    `replica set ${input.setName} of ${targets.length}, ${size} each, replayed from ${showTime(moment.point.checkpoint)} to ${showTime(moment.at)}`,
    ...targets.map((target, k) => {
      const { host, port } = input.members[k]!;
      const old = target.holds === 'nothing' ? 'empty now' : 'its data directory is kept aside';
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
  const onBytes = (more: number): void => {
    counts.processed += more;
    counts.stored += more;
    context.progress(counts, bytes, 'repository write');
  };
  await mkdir(join(directory, 'journal'), { recursive: true });
  const queue = [...moment.point.files].sort((a, b) => b.bytes - a.bytes).values();
  const lane = async (): Promise<void> => {
    for (const file of queue) {
      context.signal.throwIfAborted();
      await reader.layFile(file, join(directory, file.path), onBytes);
    }
  };
  await Promise.all([lane(), lane(), lane()]);
}
