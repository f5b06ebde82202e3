/** Sessions: everything long. A session is started by a route, watched by its events, and ends in a true state. */
import * as z from 'zod';
import { packageName } from './packages.ts';
import { sessionKinds, sessionStates, type SessionKind, type SessionState } from './session-kinds.ts';
import * as v from './values.ts';
import { rescanResult } from './groups.ts';
import { bottleneck, taskKinds } from './tasks.ts';

export type { SessionKind, SessionState };
export const sessionKind = z.enum(sessionKinds);

/** They work on a host's services, one at a time on each host, and need no transport to be connected. */
export const hostSessionKinds: ReadonlySet<SessionKind> = new Set<SessionKind>(['deploy', 'update', 'configure', 'uninstall']);

/** They go on for as long as what they keep is there. */
export const endlessSessionKinds: ReadonlySet<string> = new Set<SessionKind>(['oplog', 'copy-oplog']);

export const sessionState = z.enum(sessionStates);

/** Bytes so far. Rate and time left are the server's reckoning over the last seconds. */
export const sessionProgress = z
  .object({
    processed: z.number(),
    read: z.number(),
    transferred: z.number(),
    stored: z.number(),
    expected: z.number().nullable(),
    bytesPerSecond: z.number().nullable(),
    secondsLeft: z.number().nullable(),
    bottleneck: bottleneck.nullable(),
  })
  .meta({ id: 'SessionProgress' });

/** What a session that ended well made or found, by its kind. */
export const sessionResult = z
  .discriminatedUnion('kind', [
    z.object({
      kind: z.literal('backup'),
      point: z.string(),
      method: v.copyMethod,
      copied: v.pointSummary.shape.copied,
      bytes: v.pointSummary.shape.bytes,
      seconds: z.number(),
      lockedMs: z.number(),
      /** The point was opened by a real mongod and looked at after it was stored. */
      verified: z.boolean(),
    }),
    taskKinds.prove.output.extend({ kind: z.literal('verify'), point: z.string() }),
    z.object({ kind: z.literal('publish'), point: z.string(), at: v.clusterTime, why: z.enum(['stopped', 'expired']) }),
    taskKinds['restore-set'].output.extend({
      kind: z.literal('restore-set'),
      point: z.string(),
      /** For each of `startCommands` the host to run it on; empty when the members are on one host. */
      startOn: z.array(z.string()).default([]),
      /** How to connect to the set, when it was started. */
      uri: z.string().nullable().default(null),
    }),
    taskKinds['restore-collections'].output.extend({ kind: z.literal('restore-collections'), point: z.string() }),
    /** `hostKey` is null when no first contact over SSH was needed. */
    z.object({ kind: z.literal('deploy'), host: z.string(), platform: z.string(), hostKey: z.string().nullable(), version: z.string().nullable().default(null) }),
    z.object({ kind: z.literal('update'), host: z.string(), services: z.array(z.object({ name: packageName, before: z.string(), version: z.string() })) }),
    z.object({ kind: z.literal('configure'), host: z.string(), controlPort: z.int(), deployerPort: z.int(), dataFrom: z.int(), dataTo: z.int(), singlePort: z.boolean().default(false) }),
    z.object({ kind: z.literal('uninstall'), host: z.string(), all: z.boolean(), data: z.boolean() }),
    rescanResult,
    z.object({ kind: z.literal('check'), ok: z.boolean(), archives: z.array(taskKinds.check.output.extend({ set: z.string() })) }),
    taskKinds['test-storage'].output.extend({ kind: z.literal('test'), /** That tried it. */ host: z.string() }),
    z.object({ kind: z.literal('sweep'), freedBytes: z.number(), archives: z.array(taskKinds.sweep.output.extend({ set: z.string() })), /** Archives that something else swept or tended meanwhile. */ left: z.array(z.object({ set: z.string(), why: z.string() })).default([]) }),
    taskKinds['oplog-find'].output.extend({
      kind: z.literal('oplog-find'),
      /** `reachable`: a restore to just before the operation is possible. */
      matches: z.array(taskKinds['oplog-find'].output.shape.matches.element.extend({ reachable: z.boolean().default(true) })),
      /** Operations after `searchedThrough` had happened and were not in the archive; null when none was missing. */
      notArchivedYet: z.object({ retryAfterSeconds: z.int(), why: z.string() }).nullable().default(null),
    }),
    taskKinds.copy.output.omit({ copied: true, surplus: true, oplogFrom: true, proved: true, waiting: true, outOfReach: true }).extend({
      kind: z.literal('copy'),
      repository: z.string(),
      /** Points that were copied, and those that the retention took. */
      points: z.array(z.string()),
      deleted: z.array(z.string()),
      freedBytes: z.number(),
      oplogMerged: v.oplogMerged.nullable().default(null),
    }),
    z.object({ kind: z.literal('copy-oplog'), through: v.clusterTime.nullable() }),
    z.object({ kind: z.literal('repair'), ok: z.boolean(), from: z.string().nullable(), archives: z.array(taskKinds.repair.output.extend({ set: z.string() })) }),
    /** Points that went, those that were to go and stayed, and the space that came back. */
    z.object({ kind: z.literal('retention'), deleted: z.array(z.string()), refused: z.array(z.object({ point: z.string(), why: z.string() })), freedBytes: z.number(), /** Of these archived oplog. */ oplogBytes: z.number().default(0), /** Stretches of oplog that go when sessions that may read them have ended. */ oplogWaiting: z.int().default(0), oplogMerged: v.oplogMerged.nullable().default(null) }),
    z.object({ kind: z.literal('oplog'), through: v.optime.nullable() }),
  ])
  .meta({ id: 'SessionResult' });
export type SessionResult = z.infer<typeof sessionResult>;

export const session = z
  .object({
    id: z.string(),
    kind: sessionKind,
    /** What it works on: a set, a repository, a restore point, a host or a group, with the name an operator knows it by. */
    object: z.object({ kind: z.enum(['set', 'repository', 'point', 'host', 'group', 'copy']), id: z.string(), name: z.string() }),
    state: sessionState,
    createdAtMs: z.number(),
    startedAtMs: z.number().nullable(),
    endedAtMs: z.number().nullable(),
    steps: z.array(z.object({ name: z.string(), startedAtMs: z.number(), endedAtMs: z.number().nullable() })),
    progress: sessionProgress.nullable(),
    warnings: z.int(),
    result: sessionResult.nullable(),
    failure: v.wireFailure.nullable(),
    /** The free text an operator gave for it, for the audit. */
    reason: z.string().nullable(),
    retryOf: z.string().nullable(),
    /** It only says what it would do: its success changes nothing, and no report counts it. */
    isPlan: z.boolean(),
  })
  .meta({ id: 'Session' });
export type Session = z.infer<typeof session>;

/**
 * What a watcher sees. Numbered events are kept with the session and can be asked for again with `after`;
 * progress is live only and has the number of the last kept event.
 */
export const sessionEvent = z
  .object({
    number: z.int(),
    atMs: z.number(),
    event: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('state'), state: sessionState }),
      z.object({ kind: z.literal('step'), step: z.string() }),
      z.object({ kind: z.literal('line'), level: z.enum(['info', 'warning', 'error']), text: z.string() }),
      z.object({ kind: z.literal('progress'), progress: sessionProgress }),
    ]),
  })
  .meta({ id: 'SessionEvent' });
export type SessionEvent = z.infer<typeof sessionEvent>;

/** The last event of a finished session is one of these states; the stream then ends. */
export const endStates: ReadonlySet<SessionState> = new Set<SessionState>(['success', 'warning', 'failed', 'stopped']);
