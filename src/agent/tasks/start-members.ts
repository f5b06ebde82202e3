/** Steps 4 and 5 of a restore over several hosts, on one of them (docs/design/restore-set.md). */
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { settleSet, startMembers, stopMembers } from '../set-start.ts';
import type { TaskContext } from '../task-context.ts';

export async function startMembersHere(input: TaskInput<'start-members'>, context: TaskContext): Promise<TaskOutput<'start-members'>> {
  const here = input.members.filter((member) => member.isHere);
  const key = input.key ?? undefined;
  if (input.what === 'start') await startMembers(here, input.startCommands, key, context);
  else if (input.what === 'settle') await settleSet(input, key, context);
  else await stopMembers(here, context);
  return {};
}
