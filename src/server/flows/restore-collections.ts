import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import { clusterTime, mongoTarget } from '../../contract/values.ts';
import type { Flow } from '../flow.ts';
import type { Placement } from '../placement.ts';
import { unprovedWarning, type Points } from '../points.ts';
import type { ProtectedSets } from '../protected-sets.ts';

const wish = z.object({
  setId: z.string(),
  point: z.string(),
  at: clusterTime,
  namespaces: taskKinds['restore-collections'].input.shape.namespaces,
  /** Null: the live set itself. */
  into: mongoTarget.nullable(),
  existing: z.enum(['refuse', 'aside', 'replace']),
  apply: z.boolean(),
});
export type RestoreCollectionsWish = z.infer<typeof wish>;

export function restoreCollectionsFlow({ sets, placement, points }: { sets: ProtectedSets; placement: Placement; points: Points }): Flow<RestoreCollectionsWish> {
  return {
    wish,
    async run({ setId, into, ...asked }, context) {
      const set = await sets.find(setId);
      await context.step(asked.apply ? 'restore the collections' : 'plan the restore');
      const host = await context.note('host', async () => await placement.near(set));
      const output = await context.task('restore', 'restore-collections', { host, repository: set.repository, setId, right: 'read' }, async () => await Promise.resolve({ into: into ?? sets.target(set), ...asked }));
      const plan = [...unprovedWarning(await points.find(asked.point), points), ...output.plan];
      return { state: 'success', result: { kind: 'restore-collections', point: asked.point, ...output, plan } };
    },
  };
}
