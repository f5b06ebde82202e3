import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { usualWorkers } from '../../repository/archive.ts';
import { repairArchive as repair } from '../../repository/repair.ts';
import { openArchiveAt } from '../archive-access.ts';
import type { TaskContext } from '../task-context.ts';

export async function repairArchive(input: TaskInput<'repair'>, context: TaskContext): Promise<TaskOutput<'repair'>> {
  const archive = await openArchiveAt(input.archive, context);
  const { from, source } = input;
  const other = from === null || source === null ? undefined : { archive: await openArchiveAt(from, context), repository: source.id, name: source.name };
  const report = await repair(archive, other, { workers: usualWorkers(), signal: context.signal, onStep: (step) => context.step(step), onProgress: ({ read, stored }) => context.progress({ processed: read, read, transferred: stored, stored }, null) });
  for (const { object, what, healed, by } of report.objects) context.say(`${object}: ${what}; ${healed ? 'healed' : 'not healed'}: ${by}`, healed ? 'info' : 'error');
  for (const point of report.wholeAgain) context.say(`restore point ${point} is whole again`);
  for (const point of report.stillHurt) context.say(`restore point ${point} is still hurt`, 'error');
  return report;
}
