import * as z from 'zod';
import * as v from '../values.ts';
import { session } from '../sessions.ts';
import { taskKinds } from '../tasks.ts';
import type { Route } from '../route.ts';
import { fromRepository, moment, setParam } from './sets.ts';

export const publication = z
  .object({
    id: z.string(),
    set: z.string(),
    point: z.string(),
    at: v.clusterTime,
    state: z.enum(['starting', 'ready', 'ended']),
    startedAtMs: z.number(),
    expiresAtMs: z.number(),
    /** When it really ended; null while it is up. */
    endedAtMs: z.number().nullable().default(null),
    /** How to connect, once ready. */
    uri: z.string().nullable(),
    says: z.string().nullable(),
    session: z.string(),
  })
  .meta({ id: 'Publication' });
export type Publication = z.infer<typeof publication>;

const restoreFailures = [
  'server.set-unknown',
  'server.repository-unknown',
  'server.archive-unknown',
  'domain.moment-unreachable',
  'domain.moment-not-understood',
  'domain.moment-without-zone',
  'server.host-unreachable',
] as const;

export const restoreRoutes = {
  'restore.set': {
    method: 'POST',
    path: '/api/v1/sets/:set/restores/set',
    permission: 'restores.run',
    summary: 'Bring a whole set to a moment in new data directories: the plan, or with `apply` the work.',
    params: setParam,
    body: z.object({
      at: moment,
      repository: fromRepository,
      members: z.array(taskKinds['restore-set'].input.shape.members.element.extend({ node: z.string().min(1).optional().meta({ description: 'the host that this directory is on' }) })).min(1),
      node: z.string().min(1).default('local').meta({ description: 'the host of the directories that name none' }),
      name: z.string().min(1).optional().meta({ description: 'name of the restored replica set; the old one unless given' }),
      start: z.boolean().default(false).meta({ description: 'start the members and wait until the set takes writes' }),
      apply: z.boolean().default(false),
      reason: z.string().optional(),
    }),
    status: 202,
    answer: session,
    failures: [...restoreFailures, 'server.host-unknown', 'server.members-unfit'],
  },
  'restore.collections': {
    method: 'POST',
    path: '/api/v1/sets/:set/restores/collections',
    permission: 'restores.run',
    summary: 'Bring collections as they were at a moment into a live set: the plan, or with `apply` the work.',
    params: setParam,
    body: z.object({
      at: moment,
      repository: fromRepository,
      namespaces: taskKinds['restore-collections'].input.shape.namespaces,
      into: v.mongoTarget.optional().meta({ description: 'the live set itself unless given' }),
      existing: z.enum(['refuse', 'aside', 'replace']).default('refuse'),
      apply: z.boolean().default(false),
      reason: z.string().optional(),
    }),
    status: 202,
    answer: session,
    failures: [...restoreFailures, 'server.live-set-unknown', 'server.set-busy'],
  },
  'publication.start': {
    method: 'POST',
    path: '/api/v1/sets/:set/publications',
    permission: 'restores.run',
    summary: 'Publish a moment: a mongod on a mounted restore point that tools can connect to, until it expires.',
    params: setParam,
    body: z.object({
      at: moment,
      repository: fromRepository,
      port: z.int().min(1).max(65535).nullable().default(null).meta({ description: 'a free port unless given' }),
      expiresSeconds: z.number().min(10).max(30 * 86_400).default(8 * 3600),
      withUsers: z.boolean().default(true).meta({ description: 'the set\'s own users sign in; without, anyone on the host can connect' }),
      reason: z.string().optional(),
    }),
    status: 202,
    answer: publication,
    failures: restoreFailures,
  },
  'publication.list': {
    method: 'GET',
    path: '/api/v1/publications',
    permission: 'sessions.read',
    summary: 'Published moments; those that have ended are listed for a day.',
    status: 200,
    answer: z.object({ publications: z.array(publication) }),
    failures: [],
  },
  'publication.show': {
    method: 'GET',
    path: '/api/v1/publications/:publication',
    permission: 'sessions.read',
    summary: 'One published moment.',
    params: z.object({ publication: z.string().min(1) }),
    status: 200,
    answer: publication,
    failures: ['server.publication-unknown'],
  },
  'publication.stop': {
    method: 'DELETE',
    path: '/api/v1/publications/:publication',
    permission: 'restores.run',
    summary: 'Stop a published moment.',
    params: z.object({ publication: z.string().min(1) }),
    status: 202,
    answer: publication,
    failures: ['server.publication-unknown'],
  },
} as const satisfies Record<string, Route>;
