import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { openArchiveAt } from '../archive-access.ts';
import type { TaskContext } from '../task-context.ts';

export async function sweepArchive(input: TaskInput<'sweep'>, context: TaskContext): Promise<TaskOutput<'sweep'>> {
  context.step('give back the space of deleted points');
  const archive = await openArchiveAt(input.archive, context);
  const report = await archive.sweep({ clock: context.clock, signal: context.signal });
  context.say(`${report.deletedPacks} packs deleted, ${report.rewrittenPacks} rewritten, ${report.freedBytes} bytes given back`);
  return report;
}
