import * as z from 'zod';
import * as v from '../values.ts';
import { session } from '../sessions.ts';
import type { Route } from '../route.ts';
import { moment } from './sets.ts';

export const pointParam = z.object({ point: z.string().min(1) });

const hold = z.object({ sinceMs: z.number(), reason: z.string() });
export const point = v.pointSummary.extend({ repository: z.string(), hold: hold.nullable(), lost: z.boolean().meta({ description: 'the repository does not have it any more' }), hurt: z.boolean().meta({ description: 'its manifest is damaged: it cannot be restored' }) }).meta({ id: 'RestorePoint' });
export type Point = z.infer<typeof point>;

const span = z.object({ after: v.clusterTime, through: v.clusterTime });

export const pointRoutes = {
  'point.list': {
    method: 'GET',
    path: '/api/v1/points',
    permission: 'points.read',
    summary: 'Restore points, oldest first.',
    query: z.object({ set: z.string().optional() }),
    status: 200,
    answer: z.object({ points: z.array(point) }),
    failures: ['server.set-unknown'],
  },
  'point.show': {
    method: 'GET',
    path: '/api/v1/points/:point',
    permission: 'points.read',
    summary: 'One restore point.',
    params: pointParam,
    status: 200,
    answer: point,
    failures: ['server.point-unknown'],
  },
  'point.verify': {
    method: 'POST',
    path: '/api/v1/points/:point/verify',
    permission: 'points.verify',
    summary: 'Open a restore point with a real mongod, bring it to a moment and look at it.',
    params: pointParam,
    body: z.object({ level: z.enum(['open', 'full']).default('open'), repository: z.string().min(1).optional().meta({ description: 'the copy of the point in this repository' }), at: moment.nullable().default(null).meta({ description: 'the point\'s own moment unless given' }) }),
    status: 202,
    answer: session,
    failures: ['server.point-unknown', 'server.repository-unknown', 'domain.moment-unreachable', 'domain.moment-not-understood', 'domain.moment-without-zone', 'server.host-unreachable'],
  },
  'point.hold': {
    method: 'PUT',
    path: '/api/v1/points/:point/hold',
    permission: 'points.hold',
    summary: 'Hold a restore point: it is not deleted until it is released.',
    params: pointParam,
    body: z.object({ reason: z.string().min(1).max(500) }),
    status: 200,
    answer: point,
    failures: ['server.point-unknown'],
  },
  'point.release': {
    method: 'DELETE',
    path: '/api/v1/points/:point/hold',
    permission: 'points.hold',
    summary: 'Release a held restore point.',
    params: pointParam,
    status: 200,
    answer: point.extend({ wasHeld: z.boolean() }).meta({ id: 'ReleasedPoint' }),
    failures: ['server.point-unknown'],
  },
  'point.delete': {
    method: 'POST',
    path: '/api/v1/points/delete',
    permission: 'points.delete',
    summary: 'Plan the deletion of restore points, or carry it out.',
    body: z.object({ points: z.array(z.string().min(1)).min(1), apply: z.boolean().default(false) }),
    status: 200,
    answer: z
      .object({
        applied: z.boolean(),
        /** What goes, or would go. */
        points: z.array(v.pointSummary),
        /** Moments that can no longer be reached without them. */
        momentsLost: z.array(span),
        /** Points that stay, and why. */
        refused: z.array(z.object({ point: z.string(), why: z.string() })),
        deleted: z.array(z.string()),
      })
      .meta({ id: 'PointDeletion' }),
    failures: ['server.point-unknown', 'server.point-busy', 'server.point-held', 'server.host-unreachable'],
  },
} as const satisfies Record<string, Route>;
