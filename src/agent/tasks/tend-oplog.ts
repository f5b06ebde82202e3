/**
 * Tends the archived oplog on the repository's host (docs/design/oplog-retention.md).
 *
 *   cut     what is not needed becomes a gap; answers every cut that stands for something that is still there
 *   empty   what these cuts stand for goes; the server has made sure that nobody reads it any more
 */
import { showTime } from '../../base/cluster-time.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { cutOplog, emptyCuts, type IsNeeded } from '../../repository/oplog-trim.ts';
import { openArchiveAt } from '../archive-access.ts';
import { neededIn } from '../needed-oplog.ts';
import type { TaskContext } from '../task-context.ts';

export async function tendOplog(input: TaskInput<'tend-oplog'>, context: TaskContext): Promise<TaskOutput<'tend-oplog'>> {
  const { clock, signal } = context;
  const archive = await openArchiveAt(input.archive, context);
  const { wish } = input;
  if (wish.what === 'empty') {
    context.step('remove oplog that nobody needs');
    const report = await emptyCuts(archive.parts, wish.cuts, { clock, signal });
    context.say(`${report.slices} slices of oplog removed, ${report.freedBytes} bytes`);
    return { what: 'empty', ...report };
  }
  context.step('see which oplog is needed');
  let says: string | null = null;
  const needed = async (): Promise<IsNeeded> => {
    const found = await neededIn(archive, { ...wish, without: [] }, clock.now());
    says = found.says;
    if (says !== null) context.say(`all of the archived oplog stays: ${says}`);
    return found.isNeeded;
  };
  const plan = await cutOplog(archive.parts, needed, { clock, signal });
  for (const { after, through, bytes } of plan.goes) context.say(`oplog after ${showTime(after)} through ${showTime(through)} is not needed any more: ${bytes} bytes`);
  for (const { after, through, why } of plan.stays) context.say(`oplog after ${showTime(after)} through ${showTime(through)} is not needed any more and stays, because what is beside it is damaged: ${why}`, 'warning');
  return { what: 'cut', goes: [...plan.goes], full: plan.full.map(({ chain, after, through }) => ({ chain, after, through })), retainedBytes: plan.retainedBytes, retainedUntilMs: plan.retainedUntilMs, says };
}
