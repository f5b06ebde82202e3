import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import { clusterTime, mongoTarget } from '../../contract/values.ts';
import type { Flow } from '../flow.ts';
import type { Placement } from '../placement.ts';
import { unprovedWarning, type Points } from '../points.ts';
import type { ProtectedSets } from '../protected-sets.ts';

const wish = z.object({
  /** Null: the set's own. */
  repository: z.string().nullable().default(null),
  setId: z.string(),
  point: z.string(),
  at: clusterTime,
  namespaces: taskKinds['restore-collections'].input.shape.namespaces,
  /** Null: the live set itself. */
  into: mongoTarget.nullable(),
  existing: z.enum(['refuse', 'aside', 'replace']),
  apply: z.boolean(),
});
export type RestoreCollectionsWish = z.input<typeof wish>;

export function restoreCollectionsFlow({ sets, placement, points }: { sets: ProtectedSets; placement: Placement; points: Points }): Flow<z.infer<typeof wish>> {
  return {
    wish,
    isPlan: ({ apply }) => !apply,
    async run({ setId, into, repository: named, ...asked }, context) {
      const repository = named ?? (await sets.find(setId)).repository;
      await context.step(asked.apply ? 'restore the collections' : 'plan the restore');
      const host = await context.note('host', async () => await placement.forMoments(repository, setId));
      const output = await context.task('restore', 'restore-collections', { host, repository, setId, right: 'read' }, async () => ({ into: into ?? sets.target(await sets.find(setId)), ...asked }));
      const plan = [...unprovedWarning(await points.find(asked.point), points), ...output.plan];
      return { state: 'success', result: { kind: 'restore-collections', point: asked.point, ...output, plan } };
    },
  };
}
