import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { openArchiveAt } from '../archive-access.ts';
import type { TaskContext } from '../task-context.ts';

export async function sweepArchive(input: TaskInput<'sweep'>, context: TaskContext): Promise<TaskOutput<'sweep'>> {
  context.step('give back the space of deleted points');
  const archive = await openArchiveAt(input.archive, context);
  const counts = { processed: 0, read: 0, transferred: 0, stored: 0 };
  const onMoved = (bytes: number, of: number | null): void => {
    Object.assign(counts, { processed: bytes, read: bytes });
    context.progress(counts, of);
  };
  const report = await archive.sweep({ clock: context.clock, signal: context.signal, onMoved });
  // What else it did has no measure: nobody is to read that nothing is left, or how much.
  if (counts.processed > 0) context.progress(counts, null);
  context.say(`${report.deletedPacks} packs deleted, ${report.rewrittenPacks} rewritten, ${report.freedBytes} bytes given back`);
  return report;
}
