import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import { clusterTime } from '../../contract/values.ts';
import type { Flow } from '../flow.ts';

const wish = z.object({
  repository: z.string(),
  /** Where the set is laid down. */
  host: z.string().default('local'),
  setId: z.string(),
  point: z.string(),
  at: clusterTime,
  setName: z.string(),
  members: taskKinds['restore-set'].input.shape.members,
  start: z.boolean(),
  apply: z.boolean(),
});
export type RestoreSetWish = z.infer<typeof wish>;


export function restoreSetFlow(): Flow<RestoreSetWish> {
  return {
    wish,
    async run({ repository, host, setId, ...asked }, context) {
      await context.step(asked.apply ? 'restore the set' : 'plan the restore');
      const output = await context.task('restore', 'restore-set', { host, repository, setId, right: 'read' }, async () => Promise.resolve(asked));
      return { state: 'success', result: { kind: 'restore-set', point: asked.point, ...output } };
    },
  };
}
