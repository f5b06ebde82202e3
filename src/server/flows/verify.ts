import * as z from 'zod';
import { clusterTime } from '../../contract/values.ts';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';
import type { Placement } from '../placement.ts';
import type { Points } from '../points.ts';
import { provePoint } from '../proving.ts';

const wish = z.object({ repository: z.string(), setId: z.string(), point: z.string(), level: z.enum(['open', 'full']), at: clusterTime.nullable() });
export type VerifyWish = z.infer<typeof wish>;

/** Proves a point again, at its own moment or another one. */
export function verifyFlow({ archives, placement, points }: { archives: Archives; placement: Placement; points: Points }): Flow<VerifyWish> {
  return {
    wish,
    async run({ repository, setId, point, level, at }, context) {
      await context.step(level === 'full' ? 'prove the restore point in full' : 'prove the restore point');
      const host = await context.note('host', async () => await placement.forMoments(repository, setId));
      const output = await provePoint({ at: { host, repository, setId, right: 'read' }, point, level, moment: at }, archives, points, context);
      return { state: 'success', result: { kind: 'verify', point, ...output } };
    },
  };
}
