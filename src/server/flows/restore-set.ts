import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import { uriOfSet } from '../../contract/mongo-uri.ts';
import { clusterTime } from '../../contract/values.ts';
import { fastCounts, type Flow } from '../flow.ts';
import { unprovedWarning, type Points } from '../points.ts';

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


export function restoreSetFlow({ points }: { points: Points }): Flow<RestoreSetWish> {
  return {
    wish,
    async run({ repository, host, setId, ...asked }, context) {
      await context.step(asked.apply ? 'restore the set' : 'plan the restore');
      if (asked.apply) await context.say(fastCounts);
      const output = await context.task('restore', 'restore-set', { host, repository, setId, right: 'read' }, async () => await Promise.resolve(asked));
      const plan = [...unprovedWarning(await points.find(asked.point), points), ...output.plan];
      const uri = output.applied && asked.start ? uriOfSet(asked.setName, asked.members) : null;
      return { state: 'success', result: { kind: 'restore-set', point: asked.point, ...output, plan, uri } };
    },
  };
}
