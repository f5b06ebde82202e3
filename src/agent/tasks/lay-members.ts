/**
 * One host's part of a set that is restored over several hosts, up to where nothing is touched yet
 * (docs/design/restore-set.md, step 1): its members are whole in their building directories, and the journal says so.
 * A part that fails or is stopped removes what it built.
 */
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { describe } from '../../base/failure.ts';
import { bytesOf, layDown, planOfSet, planOfTarget } from '../lay-down.ts';
import { openMoment } from '../moment.ts';
import { restoreJournal } from '../restore-journal.ts';
import { startCommand, writeKey } from '../set-start.ts';
import { inspectTargets, requireSpace, startBuilding } from '../target-directory.ts';
import type { TaskContext } from '../task-context.ts';

export async function layMembers(input: TaskInput<'lay-members'>, context: TaskContext): Promise<TaskOutput<'lay-members'>> {
  context.step('plan');
  const moment = await openMoment(input.archive, input.point, input.at, context);
  const here = input.members.filter((member) => member.isHere);
  const targets = await inspectTargets(here);
  const bytes = await bytesOf(moment);
  await requireSpace(targets, bytes.withReplay);
  const needsKey = moment.about.accessControl;
  const output = {
    at: moment.at,
    planOfSet: planOfSet(moment, input.setName, input.members.length, bytes.files),
    plan: targets.map((target, k) => planOfTarget(target, here[k]!)),
    startCommands: here.map((member) => startCommand(moment, input.setName, member)),
    needsKey,
  };
  for (const line of output.plan) context.say(line);
  if (!input.apply) return output;
  const journal = restoreJournal(context.keepDirectory, input.restore);
  await journal.write({ stage: 'laying', targets });
  try {
    for (const target of targets) await startBuilding(target);
    const members = input.members.map(({ host, port }, id) => ({ id, host, port }));
    await layDown(moment, { name: input.setName, members, replicaSetId: input.restore }, targets, bytes.files, context);
    for (const { building } of targets) await writeKey(building, needsKey ? input.key : undefined);
    context.signal.throwIfAborted();
    await journal.write({ stage: 'laid', targets });
  } catch (error) {
    await journal.takeBack().catch((why: unknown) => context.say(`what was built could not be removed: ${describe(why)}`, 'warning'));
    throw error;
  }
  return output;
}
