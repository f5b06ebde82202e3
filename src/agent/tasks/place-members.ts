/** Steps 2 and 3 of a restore over several hosts, and its taking back, on one of them (docs/design/restore-set.md). */
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { restoreNotLaid } from '../failures.ts';
import { restoreJournal, type RestoreJournal } from '../restore-journal.ts';
import { makeLog } from '../set-start.ts';
import { makeSteps, planPlaces } from '../take-places.ts';
import { requireUnchanged } from '../target-directory.ts';
import type { TaskContext } from '../task-context.ts';

type Input = TaskInput<'place-members'>;

export async function placeMembers(input: Input, context: TaskContext): Promise<TaskOutput<'place-members'>> {
  const journal = restoreJournal(context.keepDirectory, input.restore);
  if (input.what === 'place') return { keptAside: await place(input, journal, context) };
  if (input.what === 'take-back') {
    context.step('take back what was built');
    await journal.takeBack();
  } else {
    await journal.remove();
    for (const member of input.members) await makeLog(member);
  }
  return { keptAside: [] };
}

async function place(input: Input, journal: RestoreJournal, context: TaskContext): Promise<string[]> {
  context.step('put the directories in place');
  const laid = await journal.read();
  if (laid?.stage !== 'laid') throw restoreNotLaid({ restore: input.restore, stage: laid?.stage ?? 'unknown here' });
  await requireUnchanged(laid.targets, input.members);
  const { steps, aside } = await planPlaces(laid.targets, input.stamp);
  await journal.write({ stage: 'placing', targets: laid.targets, steps: [...steps] });
  await makeSteps(laid.targets, { steps, aside });
  for (const old of aside) context.say(`the old directory is kept as ${old}`);
  return [...aside];
}
