import type { TaskOutput } from '../../contract/tasks.ts';
import type { FlowContext } from '../flow.ts';
import type { Tended } from '../oplog-tending.ts';

/** `isDeleted`: points of it were. */
type Lighter = { readonly host: string; readonly repository: string; readonly setId: string; readonly isDeleted: boolean };

const nothing: Tended = { slices: 0, freedBytes: 0, waiting: 0, merged: null, isMergeFailed: false };

/** The space of deleted points and of oplog that is not needed. Neither keeps the other from coming back: what fails is thrown when both were tried. */
export async function giveBack({ isDeleted, ...at }: Lighter, tend: () => Promise<Tended>, context: FlowContext): Promise<{ freedBytes: number; oplog: Tended }> {
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
  const swept = isDeleted ? await tried(async () => await sweep(at, context)) : undefined;
  const oplog = (await tried(tend)) ?? nothing;
  if (failed.length > 0) throw failed[0];
  return { freedBytes: (swept?.freedBytes ?? 0) + oplog.freedBytes, oplog };
}

async function sweep(at: Omit<Lighter, 'isDeleted'>, context: FlowContext): Promise<TaskOutput<'sweep'>> {
  await context.step('give back the space of deleted points');
  return await context.task('sweep', 'sweep', { ...at, right: 'append' }, async () => await Promise.resolve({}));
}
