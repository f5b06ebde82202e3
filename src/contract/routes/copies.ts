import * as z from 'zod';
import * as v from '../values.ts';
import { session, sessionState } from '../sessions.ts';
import type { Route } from '../route.ts';

export const copySchedule = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('manual') }),
    /** After each backup, and the archived oplog all the time. */
    z.object({ kind: z.literal('immediate') }),
    z.object({ kind: z.literal('every'), minutes: z.int().min(1).max(43_200) }),
    /** By the clock of the server's time zone. */
    z.object({ kind: z.literal('daily'), at: v.timeOfDay }),
  ])
  .meta({ id: 'CopySchedule' });

export const copy = z
  .object({
    id: z.string(),
    set: z.string(),
    setId: z.string(),
    /** The repository that is read: the set's own. */
    from: z.string(),
    to: z.string(),
    keep: v.copyKeep,
    schedule: copySchedule,
    addedAtMs: z.number(),
    nextRunAtMs: z.number().nullable(),
    /** Copied points that are there, as far as the server knows. */
    points: z.int(),
    newest: v.pointSummary.nullable(),
    lastRun: z.object({ session: z.string(), state: sessionState, endedAtMs: z.number().nullable(), says: z.string().nullable() }).nullable(),
  })
  .meta({ id: 'Copy' });
export type Copy = z.infer<typeof copy>;

/** An id, SET/REPOSITORY, or a set that has one copy. */
const copyParam = z.object({ copy: z.string().min(1) });

export const copyRoutes = {
  'copy.add': {
    method: 'POST',
    path: '/api/v1/copies',
    permission: 'repositories.write',
    summary: 'Keep a copy of a set\'s restore points and archived oplog in another repository.',
    body: z.object({
      set: z.string().min(1),
      to: z.string().min(1).meta({ description: 'the repository that gets the copy' }),
      keep: v.copyKeep.default({ kind: 'days', days: 14 }),
      schedule: copySchedule.default({ kind: 'manual' }),
    }),
    status: 201,
    answer: copy,
    failures: ['server.set-unknown', 'server.repository-unknown', 'server.copy-exists', 'server.copy-to-itself', 'server.repository-attached', 'server.host-unreachable'],
  },
  'copy.list': {
    method: 'GET',
    path: '/api/v1/copies',
    permission: 'repositories.read',
    summary: 'Every backup copy.',
    status: 200,
    answer: z.object({ copies: z.array(copy) }),
    failures: [],
  },
  'copy.show': {
    method: 'GET',
    path: '/api/v1/copies/:copy',
    permission: 'repositories.read',
    summary: 'One backup copy.',
    params: copyParam,
    status: 200,
    answer: copy,
    failures: ['server.copy-unknown'],
  },
  'copy.run': {
    method: 'POST',
    path: '/api/v1/copies/:copy/run',
    permission: 'backups.run',
    summary: 'Copy now what the other repository lacks, and apply the retention of the copies.',
    params: copyParam,
    status: 202,
    answer: session,
    failures: ['server.copy-unknown', 'server.copy-busy', 'server.host-unreachable'],
  },
  'copy.remove': {
    method: 'DELETE',
    path: '/api/v1/copies/:copy',
    permission: 'repositories.write',
    summary: 'Copy no more. What was copied stays in the other repository.',
    params: copyParam,
    status: 200,
    answer: copy,
    failures: ['server.copy-unknown', 'server.copy-busy'],
  },
} as const satisfies Record<string, Route>;
