import * as z from 'zod';
import * as v from '../values.ts';
import { session } from '../sessions.ts';
import type { Route } from '../route.ts';

/** A set is named by its name or by its id (24 hex digits) wherever a route asks for one. */
export const setParam = z.object({ set: z.string().min(1) });

/** For reading moments: another repository than the set's own. Nothing of its own is asked then. */
export const fromRepository = z.string().min(1).optional().meta({ description: 'read them from the archive of the set in this repository' });

export const moment = z
  .string()
  .min(1)
  .meta({ description: '`latest`, the id of a restore point, ISO 8601 with a zone or Z (everything up to the end of that second), a cluster time `T,I` (the state just after that operation), or `before:T,I`' });

/** How the set's continuous oplog stands. */
export const oplogStanding = z.object({
  /** `paused`: by an operator. `resting`: it is taken every so many minutes, and not now. */
  state: z.enum(['starting', 'following', 'waiting', 'broken', 'paused', 'resting']),
  chain: z.string().nullable(),
  through: v.optime.nullable(),
  lagSeconds: z.number().nullable(),
  /** The newest moment that a good restore point leads to; null: none does. */
  restorableTo: v.clusterTime.nullable(),
  /** Since `restorableTo`. */
  lossIfDisasterNowSeconds: z.number().nullable(),
  /** Nothing of what is archived now can be restored before a new restore point is there. */
  needsBase: z.boolean(),
  /** Archived in the last second that was told of; null while nothing is followed. */
  entriesPerSecond: z.number().nullable(),
  /** How long each member's oplog covers an archive that stands still: what it holds, and what it will hold when it is full at the pace so far. */
  members: z.array(z.object({ member: z.string(), heldSeconds: z.number().nullable(), reachSeconds: z.number().nullable() })),
  /** Why it is not following, in words. */
  says: z.string().nullable(),
  session: z.string().nullable(),
});

export const alarm = z.object({ id: z.string(), atMs: z.number(), what: z.string(), says: z.string(), backupSession: z.string().nullable(), isSettled: z.boolean(), /** What becomes of it; null: it is settled. */ next: z.string().nullable() });

export const protectedSet = z
  .object({
    id: z.string(),
    name: z.string(),
    /** The name in the replica set's own configuration. */
    replicaSet: z.string(),
    repository: z.string(),
    hosts: z.array(v.hostAndPort),
    signIn: z.enum(['none', 'scram', 'x509']),
    mongoVersion: z.string(),
    featureCompatibilityVersion: z.string(),
    members: z.array(v.member),
    local: v.discovered.shape.local,
    addedAtMs: z.number(),
    refreshedAtMs: z.number(),
    oplog: oplogStanding,
    /** How often the oplog is taken; null: all the time. */
    oplogEveryMinutes: z.int().nullable(),
    lastPoint: v.pointSummary.nullable(),
    /** Those that protect it, by themselves or by its group. */
    policies: z.array(z.object({ name: z.string(), isEnabled: z.boolean() })),
    alarms: z.array(alarm),
  })
  .meta({ id: 'ProtectedSet' });
export type ProtectedSet = z.infer<typeof protectedSet>;
export type OplogStanding = z.infer<typeof oplogStanding>;

/** A set that a group has found: reached at its members there, with the group's credential for it. */
export const foundSet = z.object({ set: z.string().min(1).meta({ description: 'name or replica set id' }), group: z.string().min(1).optional() }).meta({ id: 'FoundSet' });

export const setRoutes = {
  'set.add': {
    method: 'POST',
    path: '/api/v1/sets',
    permission: 'sets.write',
    summary: 'Protect a replica set: discovers it, opens its archive and starts to follow its oplog.',
    body: z.object({
      target: v.mongoTarget.optional(),
      found: foundSet.optional(),
      name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/).optional().meta({ description: 'how operators call it; the replica set\'s own name unless given' }),
      repository: z.string().optional().meta({ description: 'name or id of a repository; the default one unless given' }),
    }).refine(({ target, found }) => (target === undefined) !== (found === undefined), { message: 'give either target or found' }),
    status: 201,
    answer: protectedSet,
    failures: ['server.set-exists', 'server.set-name-taken', 'server.found-set-unknown', 'server.group-unknown', 'server.repository-unknown', 'server.host-unreachable'],
  },
  'set.list': {
    method: 'GET',
    path: '/api/v1/sets',
    permission: 'sets.read',
    summary: 'Every protected set.',
    status: 200,
    answer: z.object({ sets: z.array(protectedSet) }),
    failures: [],
  },
  'set.show': {
    method: 'GET',
    path: '/api/v1/sets/:set',
    permission: 'sets.read',
    summary: 'One protected set.',
    params: setParam,
    status: 200,
    answer: protectedSet,
    failures: ['server.set-unknown'],
  },
  'set.remove': {
    method: 'DELETE',
    path: '/api/v1/sets/:set',
    permission: 'sets.write',
    summary: 'Stop protecting a set. Its restore points and archived oplog stay in the repository.',
    params: setParam,
    query: z.object({ apply: z.stringbool().default(false).meta({ description: 'carry out the plan; otherwise only the plan is answered' }) }),
    status: 200,
    answer: z.object({ applied: z.boolean(), set: z.string(), points: z.int(), sessions: z.array(z.string()), plan: z.array(z.string()) }),
    failures: ['server.set-unknown', 'server.set-busy'],
  },
  'set.window': {
    method: 'GET',
    path: '/api/v1/sets/:set/window',
    permission: 'sets.read',
    summary: 'The moments the set can be brought back to, with gaps, barriers and restore points.',
    params: setParam,
    query: z.object({ repository: fromRepository }),
    status: 200,
    answer: v.window.extend({ set: z.string(), oplog: oplogStanding }).meta({ id: 'SetWindow' }),
    failures: ['server.set-unknown', 'server.repository-unknown', 'server.archive-unknown', 'server.host-unreachable'],
  },
  'backup.run': {
    method: 'POST',
    path: '/api/v1/sets/:set/backups',
    permission: 'backups.run',
    summary: 'Make one restore point now and prove it by opening it.',
    params: setParam,
    body: z.object({
      fullRead: z.boolean().default(false).meta({ description: 'read and hash everything again' }),
      repository: z.string().optional().meta({ description: 'must be the set\'s repository' }),
      method: v.copyMethod.optional().meta({ description: 'take this way of copying or fail' }),
      dropClone: z.boolean().default(false),
      windowSeconds: z.number().min(1).max(3600).default(60),
      compression: z.enum(['none', 'fast', 'balanced', 'strong']).optional().meta({ description: 'as the set\'s policy has it, else balanced, unless given' }),
      source: z.string().optional().meta({ description: 'take the copy from this member or fail, host:port' }),
      reason: z.string().optional(),
    }),
    status: 202,
    answer: session,
    failures: ['server.set-unknown', 'server.set-busy', 'server.repository-unknown', 'server.host-unreachable'],
  },
  'oplog.pause': {
    method: 'POST',
    path: '/api/v1/sets/:set/oplog/pause',
    permission: 'sets.write',
    summary: 'Pause the oplog of a set: nothing is archived until it is resumed. What the members\' oplogs drop meanwhile is a gap.',
    params: setParam,
    body: z.object({ reason: z.string().min(1).max(500) }),
    status: 200,
    answer: protectedSet,
    failures: ['server.set-unknown'],
  },
  'oplog.resume': {
    method: 'POST',
    path: '/api/v1/sets/:set/oplog/resume',
    permission: 'sets.write',
    summary: 'Resume the oplog of a set: where a member still has the last archived entry it goes on without a gap, else with a new chain and a new base.',
    params: setParam,
    status: 200,
    answer: protectedSet,
    failures: ['server.set-unknown', 'server.oplog-not-paused'],
  },
  'oplog.every': {
    method: 'PUT',
    path: '/api/v1/sets/:set/oplog',
    permission: 'sets.write',
    summary: 'Take the oplog of a set all the time, or every so many minutes.',
    params: setParam,
    body: z.object({ everyMinutes: z.int().min(1).max(1440).nullable().meta({ description: 'null: all the time' }) }),
    status: 200,
    answer: protectedSet,
    failures: ['server.set-unknown'],
  },
  'oplog.find': {
    method: 'POST',
    path: '/api/v1/sets/:set/oplog/find',
    permission: 'restores.run',
    summary: 'Find operations in the archived oplog; the optimes found can be given as moments.',
    params: setParam,
    body: z.object({
      ns: z.string().regex(/^[^.]+(\..+)?$/).nullable().default(null).meta({ description: 'DB.COLL' }),
      op: z.enum(['insert', 'update', 'delete', 'command']).nullable().default(null),
      match: z.string().nullable().default(null).meta({ description: 'extended JSON: fields of the operation that must be equal' }),
      since: moment.nullable().default(null),
      until: moment.nullable().default(null),
      limit: z.int().min(1).max(10_000).default(100),
    }),
    status: 202,
    answer: session,
    failures: ['server.set-unknown', 'domain.moment-not-understood', 'domain.moment-without-zone', 'server.host-unreachable'],
  },
} as const satisfies Record<string, Route>;
