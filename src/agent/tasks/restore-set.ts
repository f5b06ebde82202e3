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
import { stampFor } from '../../base/clock.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { bytesOf, layDown, planOfSet, planOfTarget } from '../lay-down.ts';
import { openMoment, type Moment } from '../moment.ts';
import { makeLog, newKey, startCommand, startSet, writeKey } from '../set-start.ts';
import { takePlaces } from '../take-places.ts';
import { inspectTargets, removeBuilding, requireSpace, requireUnchanged, startBuilding, type Target } from '../target-directory.ts';
import type { TaskContext } from '../task-context.ts';

type Input = TaskInput<'restore-set'>;
type Output = TaskOutput<'restore-set'>;

export async function restoreSet(input: Input, context: TaskContext): Promise<Output> {
  const startedMs = context.clock.monotonicMs();
  context.step('plan');
  const moment = await openMoment(input.archive, input.point, input.at, context);
  const targets = await inspectTargets(input.members);
  const bytes = await bytesOf(moment);
  await requireSpace(targets, bytes.withReplay);
  const plan = [
    ...planOfSet(moment, input.setName, targets.length, bytes.files),
    ...targets.map((target, k) => planOfTarget(target, input.members[k]!)),
    input.start ? 'the members are started' : 'the members are left for you to start',
  ];
  for (const line of plan) context.say(line);
  const startCommands = input.members.map((member) => startCommand(moment, input.setName, member));
  const done = (keptAside: readonly string[]): Output => ({
    at: moment.at,
    documents: null,
    seconds: (context.clock.monotonicMs() - startedMs) / 1000,
    plan,
    applied: input.apply,
    startCommands,
    keptAside: [...keptAside],
  });
  if (!input.apply) return done([]);
  const key = newKey(moment);
  const keptAside = await buildAndPlace(moment, input, targets, { bytes: bytes.files, key }, context);
  for (const aside of keptAside) context.say(`the old directory is kept as ${aside}`);
  for (const member of input.members) await makeLog(member);
  if (input.start) {
    await startSet(input, startCommands, key, context).catch((error: unknown) => {
      for (const command of startCommands) context.say(`start it with: ${command.join(' ')}`);
      throw error;
    });
  }
  return done(keptAside);
}

async function buildAndPlace(moment: Moment, input: Input, targets: readonly Target[], { bytes, key }: { bytes: number; key: string | undefined }, context: TaskContext): Promise<readonly string[]> {
  try {
    for (const target of targets) await startBuilding(target);
    await layDown(moment, { name: input.setName, members: input.members.map(({ host, port }, id) => ({ id, host, port })) }, targets, bytes, context);
    for (const { building } of targets) await writeKey(building, key);
    context.step('put the directories in place');
    context.signal.throwIfAborted();
    await requireUnchanged(targets, input.members);
    return await takePlaces(targets, stampFor(context.clock.now()));
  } catch (error) {
    for (const target of targets) {
      await removeBuilding(target).catch((why: Error) => context.say(`${target.building} could not be removed: ${why.message}`, 'warning'));
    }
    throw error;
  }
}
