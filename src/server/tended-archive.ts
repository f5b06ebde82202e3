/** An archive whose oplog is tended, and what a task that did it answered. */
import type { TaskOutput } from '../contract/tasks.ts';

export type TendedArchive = { readonly id: string; readonly repository: string };

/** A sweep or a tending is at work on the archive: each leaves it to the other. */
export const sweepRunning = { code: 'repository.sweep-running' };

type Done = TaskOutput<'tend-oplog'>;

export function asDone<W extends Done['what']>(what: W, output: Done): Extract<Done, { what: W }> {
  if (output.what !== what) throw new Error(`a task that was to ${what} did something else`);
  return output as Extract<Done, { what: W }>;
}
