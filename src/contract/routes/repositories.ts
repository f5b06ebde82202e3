import * as z from 'zod';
import * as v from '../values.ts';
import { session } from '../sessions.ts';
import type { Route } from '../route.ts';

const repositoryParam = z.object({ repository: z.string().min(1) });

/** Names of hosts. */
export const repositoryGateways = z
  .object({
    /** Each of them passes on what other hosts send to the repository; none: all hosts reach it straight. */
    through: z.array(z.string().min(1)).max(16),
    /** The hosts that go through a gateway; null: all but the gateways. */
    hosts: z.array(z.string().min(1)).max(1000).nullable().default(null),
  })
  .meta({ id: 'RepositoryGateways' });
export type RepositoryGateways = z.infer<typeof repositoryGateways>;

export const reread = z
  .object({
    /** Within so many days every object is read and its digest compared; null: not at all. */
    days: z.int().nullable(),
    /** By the clock of the server. */
    at: v.timeOfDay,
    nextAtMs: z.number().nullable(),
    /** Since when every object was read at least once; null: not all of them yet. */
    readSinceMs: z.number().nullable(),
    /** Of as many parts as there are days. */
    partsRead: z.int(),
  })
  .meta({ id: 'Reread' });
export type Reread = z.infer<typeof reread>;

export const sweeps = z
  .object({
    /** At least every so many days; null: only when somebody asks for it. */
    days: z.int().nullable(),
    /** By the clock of the server, and up to an hour later. */
    at: v.timeOfDay,
    nextAtMs: z.number().nullable(),
  })
  .meta({ id: 'Sweeps' });
export type Sweeps = z.infer<typeof sweeps>;

export const repository = z
  .object({
    id: z.string(),
    name: z.string(),
    /** Name of the host it is on. */
    host: z.string(),
    location: v.repositoryLocation,
    isDefault: z.boolean(),
    /** It is only read: it belongs to another server, or was recovered from a disk. */
    isAttached: z.boolean(),
    /** For so many days nothing in it can be changed or deleted, by anybody; null: it can. */
    immutable: v.immutable.nullable(),
    /** How fast data may go to it from other hosts, and come from it. */
    limits: z.array(v.bandwidthLimit),
    /** How many sets are copied into it at once. */
    copiesAtOnce: z.int(),
    /** Over how many connections a task sends to it and reads from it. */
    connections: z.int(),
    gateways: repositoryGateways,
    /** Null: it is only read, and not by itself. */
    reread: reread.nullable(),
    /** When space comes back by itself. Null: it is only read. */
    sweeps: sweeps.nullable(),
    addedAtMs: z.number(),
    /** Where the passphrase was written when the server made it up; null when an operator chose it. */
    passphraseFile: z.string().nullable(),
    archives: z.array(z.object({ setId: z.string(), setName: z.string(), isProtected: z.boolean(), points: z.int() })),
  })
  .meta({ id: 'Repository' });
export type Repository = z.infer<typeof repository>;

/** What is left out stays as it is. */
export const repositoryLimits = z.object({ limits: v.bandwidthLimits.optional(), copiesAtOnce: z.int().min(1).max(1_000).optional(), connections: v.connections.optional() });
export type RepositoryLimits = z.infer<typeof repositoryLimits>;

/** What a repository is called and how it is opened. */
const whereItIs = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  host: z.string().min(1).default('local').meta({ description: 'the host it is on' }),
  location: v.repositoryLocation,
  secret: v.locationSecret.meta({ description: 'the password of a share, or the secret access key of a bucket' }),
  passphrase: z.string().min(8),
});

export const repositoryRoutes = {
  'repository.add': {
    method: 'POST',
    path: '/api/v1/repositories',
    permission: 'repositories.write',
    summary: 'Make a repository, or open the one that is there.',
    body: whereItIs.extend({
      create: z.boolean().default(true).meta({ description: 'false: only open one that exists' }),
      immutable: v.immutable.nullable().default(null).meta({ description: 'make it immutable for so many days; the mode is for a bucket' }),
    }),
    status: 201,
    answer: repository,
    failures: ['server.repository-exists', 'server.host-unknown', 'server.host-unreachable'],
  },
  'repository.import': {
    method: 'POST',
    path: '/api/v1/repositories/import',
    permission: 'repositories.write',
    summary: 'Attach a repository of another server, or from a recovered disk, read-only: nothing is written into it.',
    body: whereItIs,
    status: 201,
    answer: repository,
    failures: ['server.repository-exists', 'server.host-unknown', 'server.host-unreachable'],
  },
  'repository.adopt': {
    method: 'POST',
    path: '/api/v1/repositories/:repository/adopt',
    permission: 'repositories.write',
    summary: 'Take a repository over: it may be written, and protected sets that have an archive in it go on there. The plan, or with `apply` the work.',
    params: repositoryParam,
    body: z.object({ apply: z.boolean().default(false) }),
    status: 200,
    answer: z.object({ applied: z.boolean(), repository: z.string(), plan: z.array(z.string()), sets: z.array(z.string()).meta({ description: 'that go on in it' }) }).meta({ id: 'Adoption' }),
    failures: ['server.repository-unknown', 'server.repository-held', 'server.set-busy', 'server.host-unreachable'],
  },
  'repository.list': {
    method: 'GET',
    path: '/api/v1/repositories',
    permission: 'repositories.read',
    summary: 'Every repository.',
    status: 200,
    answer: z.object({ repositories: z.array(repository) }),
    failures: [],
  },
  'repository.show': {
    method: 'GET',
    path: '/api/v1/repositories/:repository',
    permission: 'repositories.read',
    summary: 'One repository.',
    params: repositoryParam,
    status: 200,
    answer: repository,
    failures: ['server.repository-unknown'],
  },
  'repository.limit': {
    method: 'PUT',
    path: '/api/v1/repositories/:repository/limits',
    permission: 'repositories.write',
    summary: 'Limit how fast data goes between the repository and other hosts, and over how many connections, for tasks that start from now on, and how many sets are copied into it at once.',
    params: repositoryParam,
    body: repositoryLimits,
    status: 200,
    answer: repository,
    failures: ['server.repository-unknown'],
  },
  'repository.immutable': {
    method: 'PUT',
    path: '/api/v1/repositories/:repository/immutable',
    permission: 'repositories.write',
    summary: 'Raise for how many days nothing in an immutable repository can be changed or deleted. They are never lowered.',
    params: repositoryParam,
    body: z.object({ days: v.immutable.shape.days }),
    status: 200,
    answer: repository,
    failures: ['server.repository-unknown', 'server.repository-attached', 'server.host-unreachable'],
  },
  'repository.gateway': {
    method: 'PUT',
    path: '/api/v1/repositories/:repository/gateways',
    permission: 'repositories.write',
    summary: 'Name the gateway hosts that other hosts reach the repository through; holds for tasks that start from now on.',
    params: repositoryParam,
    body: repositoryGateways,
    status: 200,
    answer: repository,
    failures: ['server.repository-unknown', 'server.host-unknown', 'server.question-not-understood'],
  },
  'repository.reread': {
    method: 'PUT',
    path: '/api/v1/repositories/:repository/reread',
    permission: 'repositories.write',
    summary: 'Have every object of the repository read and its digest compared within so many days, a slice each night; or not.',
    params: repositoryParam,
    body: z.object({ days: z.int().min(0).max(3_650).meta({ description: '0: not at all' }), at: v.timeOfDay.default('01:00') }),
    status: 200,
    answer: repository,
    failures: ['server.repository-unknown', 'server.repository-attached'],
  },
  'repository.sweeps': {
    method: 'PUT',
    path: '/api/v1/repositories/:repository/sweeps',
    permission: 'repositories.write',
    summary: 'Have space given back by itself every so many days, and in the next night where points were deleted or a backup failed; or not.',
    params: repositoryParam,
    body: z.object({ days: z.int().min(0).max(365).meta({ description: '0: not by itself' }), at: v.timeOfDay.default('04:00') }),
    status: 200,
    answer: repository,
    failures: ['server.repository-unknown', 'server.repository-attached'],
  },
  'repository.check': {
    method: 'POST',
    path: '/api/v1/repositories/:repository/check',
    permission: 'repositories.maintain',
    summary: 'Check that the repository is whole; repairs nothing.',
    params: repositoryParam,
    body: z.object({ readDataPercent: z.number().min(0).max(100).default(0).meta({ description: 'share of the stored bytes to read back as well' }) }),
    status: 202,
    answer: session,
    failures: ['server.repository-unknown', 'server.host-unreachable'],
  },
  'repository.test': {
    method: 'POST',
    path: '/api/v1/repositories/:repository/test',
    permission: 'repositories.maintain',
    summary: 'Try whether the place of the repository keeps what a repository needs, and how fast it is; leaves nothing there.',
    params: repositoryParam,
    body: z.object({
      host: z.string().min(1).nullable().default(null).meta({ description: 'the host that tries it; null: the one that the repository is on' }),
      megabytes: z.int().min(1).max(4096).default(64).meta({ description: 'of the largest object that is written' }),
    }),
    status: 202,
    answer: session,
    failures: ['server.repository-unknown', 'server.repository-attached', 'server.host-unknown', 'server.host-unreachable', 'server.question-not-understood'],
  },
  'repository.repair': {
    method: 'POST',
    path: '/api/v1/repositories/:repository/repair',
    permission: 'repositories.maintain',
    summary: 'Read all of a repository and heal what is damaged from another one that has the same sets, as far as that has it.',
    params: repositoryParam,
    body: z.object({ from: z.string().min(1).nullable().default(null).meta({ description: 'the other repository; without one nothing is healed but by later backups' }) }),
    status: 202,
    answer: session,
    failures: ['server.repository-unknown', 'server.repository-busy', 'server.repository-attached', 'server.copy-to-itself', 'server.host-unreachable'],
  },
  'repository.sweep': {
    method: 'POST',
    path: '/api/v1/repositories/:repository/sweep',
    permission: 'repositories.maintain',
    summary: 'Give back the space of chunks that no restore point needs; backups go on meanwhile.',
    params: repositoryParam,
    status: 202,
    answer: session,
    failures: ['server.repository-unknown', 'server.repository-busy', 'server.repository-attached', 'server.host-unreachable'],
  },
} as const satisfies Record<string, Route>;
