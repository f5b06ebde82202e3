/**
 * Tends the archived oplog on the repository's host (docs/design/oplog-retention.md).
 *
 *   cut     what is not needed becomes a gap; answers every cut that stands for something that is still there
 *   empty   what these cuts stand for goes; the server has made sure that nobody reads it any more
 *   merge, remove-merged   the same two steps for slices that become one (docs/design/oplog-merging.md)
 */
import { showTime } from '../../base/cluster-time.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { mergeOplog, removeMerged, type Unmerged } from '../../repository/oplog-merge.ts';
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
  if (wish.what === 'merge') {
    context.step('merge slices of oplog');
    const { stays, ...merged } = await mergeOplog(archive.parts, { clock, signal });
    tellUnmerged(stays, context);
    if (merged.left > 0) context.say(`${merged.left} slices of oplog are for later runs${merged.held === null ? '' : `: ${merged.held}`}`);
    if (merged.into > 0) context.say(`${merged.slices} slices of oplog are merged into ${merged.into}, ${merged.bytes} bytes`);
    return { what: 'merge', ...merged, stays: stays.length };
  }
  if (wish.what === 'remove-merged') {
    context.step('remove slices of oplog that are merged');
    const { stays, ...removed } = await removeMerged(archive.parts, wish.merged, { clock, signal });
    tellUnmerged(stays, context);
    context.say(`${removed.slices} slices of oplog removed that are merged, ${removed.freedBytes} bytes`);
    return { what: 'remove-merged', ...removed, stays: stays.length };
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

function tellUnmerged(stays: readonly Unmerged[], context: TaskContext): void {
  for (const { object, why } of stays) context.say(`${object} is not merged with others: ${why}`, 'warning');
}
