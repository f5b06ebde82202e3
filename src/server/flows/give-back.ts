import { isFailure } from '../../base/failure.ts';
import type { TaskOutput } from '../../contract/tasks.ts';
import type { FlowContext } from '../flow.ts';
import type { Tended } from '../oplog-tending.ts';
import { sweepRunning } from '../tended-archive.ts';

/** `isDeleted`: points of it were. */
type Lighter = { readonly host: string; readonly repository: string; readonly setId: string; readonly isDeleted: boolean };
/** `wantSweep`: has the repository swept in the next night. */
type Ways = { readonly tend: () => Promise<Tended>; readonly wantSweep: () => Promise<void> };

const nothing: Tended = { slices: 0, freedBytes: 0, waiting: 0, merged: null, isMergeFailed: false };

/** The space of deleted points and of oplog that is not needed. Neither keeps the other from coming back: what fails is thrown when both were tried. */
export async function giveBack({ isDeleted, ...at }: Lighter, { tend, wantSweep }: Ways, context: FlowContext): Promise<{ freedBytes: number; oplog: Tended }> {
  const failed: unknown[] = [];
  const tried = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      context.signal.throwIfAborted();
      failed.push(error);
      return undefined;
    }
  };
  const swept = isDeleted ? await tried(async () => await sweep(at, wantSweep, context)) : undefined;
  const oplog = (await tried(tend)) ?? nothing;
  if (failed.length > 0) throw failed[0];
  return { freedBytes: (swept?.freedBytes ?? 0) + oplog.freedBytes, oplog };
}

/** Another one may have listed what there is before the points were deleted, so it is no answer; what it left comes back in the night. */
async function sweep(at: Omit<Lighter, 'isDeleted'>, wantSweep: Ways['wantSweep'], context: FlowContext): Promise<Pick<TaskOutput<'sweep'>, 'freedBytes'>> {
  await context.step('give back the space of deleted points');
  try {
    return await context.task('sweep', 'sweep', { ...at, right: 'append' }, async () => await Promise.resolve({}));
  } catch (error) {
    if (!isFailure(error, sweepRunning)) throw error;
    await wantSweep();
    await context.tell('a sweep works on the archive: the space of deleted points comes back with the next one');
    return { freedBytes: 0 };
  }
}
