import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { openArchiveAt } from '../archive-access.ts';
import type { TaskContext } from '../task-context.ts';

export async function checkArchive(input: TaskInput<'check'>, context: TaskContext): Promise<TaskOutput<'check'>> {
  const { slice } = input;
  const reads = slice === null ? `${input.readDataPercent} % of the data` : `${slice.parts.length} of ${slice.of} parts of the data`;
  context.step(slice === null && input.readDataPercent === 0 ? 'check the structure' : `check the structure and read ${reads}`);
  const archive = await openArchiveAt(input.archive, context);
  const report = await archive.check({ readDataPercent: input.readDataPercent, slice: slice ?? undefined, signal: context.signal, onProgress: (read) => context.progress({ processed: read, read, transferred: 0, stored: 0 }, null) });
  for (const { object, what } of report.damage) context.say(`${object}: ${what}`, 'error');
  for (const point of report.hurtPoints) context.say(`restore point ${point} is hurt`, 'error');
  return report;
}
