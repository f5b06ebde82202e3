import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { tryStorage } from '../../repository/storage-trial.ts';
import { withStorage } from '../archive-access.ts';
import type { TaskContext } from '../task-context.ts';

export async function testStorage({ megabytes, ...place }: TaskInput<'test-storage'>, context: TaskContext): Promise<TaskOutput<'test-storage'>> {
  context.step('open the place');
  return await withStorage(place, { create: false }, async (storage) => {
    return await tryStorage(storage, { bytes: megabytes << 20, clock: context.clock, signal: context.signal, onStep: context.step });
  });
}
