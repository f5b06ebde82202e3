/**
 * Tasks: long work that the server orders from a host's transport service.
 *
 * The transport runs each task in a child process of its own (a mover) and keeps its result until the server has
 * acknowledged it, so that a restart of the server loses nothing: it asks `task.list` and watches on.
 * Every task sends the same progress events; input and output are its own.
 */
import * as z from 'zod';
import { checkOutcome, ownCheck } from './checks.ts';
import * as v from './values.ts';

/** What holds a task up, measured over the last seconds: the stage that is busiest of what it could be. */
export const bottleneck = z.enum(['source read', 'hash', 'network', 'repository write', 'repository read', 'decompress', 'target write']);
export type Bottleneck = z.infer<typeof bottleneck>;

/** What a running task says, in order. `progress` and the statuses `chain` and `reach` take the place of the one before, everything else adds up. */
export const taskEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('step'), atMs: z.number(), step: z.string() }),
  z.object({ kind: z.literal('line'), atMs: z.number(), level: z.enum(['info', 'warning', 'error']), text: z.string() }),
  z.object({
    kind: z.literal('progress'),
    atMs: z.number(),
    /** Bytes so far; `expected` is null while unknown. */
    processed: z.number(),
    read: z.number(),
    transferred: z.number(),
    stored: z.number(),
    expected: z.number().nullable(),
    bottleneck: bottleneck.nullable(),
  }),
  z.object({ kind: z.literal('status'), atMs: z.number(), key: z.string(), value: z.unknown() }),
]);

const namespaceMap = z.object({ from: z.string().regex(/^[^.]+\..+$/), to: z.string().regex(/^[^.]+\..+$/) });

const restored = z.object({ at: v.clusterTime, documents: z.number().nullable(), seconds: z.number() });

/** A member's data directory on its host, and how the other members reach it. */
const memberPlace = z.object({ directory: z.string(), host: z.string(), port: z.int() });
/** One of all members of a set, of which some are on the host that is asked. */
const memberOfAll = memberPlace.extend({ isHere: z.boolean() });
const restoreId = z.string().regex(/^[0-9a-f]{24}$/);

export const oplogRules = z.object({ primaryAllowed: z.boolean(), hiddenFirst: z.boolean(), lagLimitSeconds: z.number(), preferred: z.string().nullable(), leftOut: z.array(z.string().max(255)) });

export const taskKinds = {
  /** Follows a set's oplog into the archive until stopped. Status keys `chain` and `reach`; notices are lines and status keys `broken`, `barrier` and `hole`. One with `since` is of before the task: told again, for whoever has not heard it. */
  oplog: {
    input: z.object({ archive: v.archiveAccess, target: v.mongoTarget, setName: z.string(), flushSeconds: z.number().max(10).default(5), /** Ends when all that was there at its begin is archived. */ untilCaughtUp: z.boolean().optional(), /** What a policy says of the node, and hosts of members that are no source. */ rules: oplogRules.optional() }),
    output: z.object({ through: v.optime.nullable() }),
  },
  /** One restore point of a set, from one member whose mongod runs on this host. */
  backup: {
    input: z.object({
      archive: v.archiveAccess,
      target: v.mongoTarget,
      source: v.hostAndPort,
      method: v.copyMethod.nullable().default(null),
      fullRead: z.boolean().default(false),
      dropClone: z.boolean().default(false),
      windowSeconds: z.number().default(60),
      compression: z.enum(['none', 'fast', 'balanced', 'strong']).default('balanced'),
    }),
    output: z.object({ point: v.pointSummary, lockedMs: z.number(), seconds: z.number() }),
  },
  /** Opens a point with a real mongod and looks: `open` lists all, counts for a bounded time and validates a bounded part; `full` counts and validates all and takes dbHash. Then the own checks are asked. */
  prove: {
    input: z.object({ archive: v.archiveAccess, point: z.string(), level: z.enum(['open', 'full']), at: v.clusterTime.nullable(), checks: z.array(ownCheck).default([]) }),
    output: z.object({
      at: v.clusterTime,
      level: z.enum(['open', 'full']),
      /** `counted`: the documents were counted one by one; otherwise the number is the collection's own metadata. */
      collections: z.array(z.object({ ns: z.string(), documents: z.number(), counted: z.boolean(), validated: z.boolean() })),
      dbHash: z.record(z.string(), z.string()).nullable(),
      /** One that does not hold does not end the task. */
      checks: z.array(checkOutcome).optional(),
      mount: z.enum(['fuse', 'fuse-in-user-namespace', 'files']),
      seconds: z.number(),
    }),
  },
  /** Keeps a mongod up on a mounted point at a moment until stopped or expired. Status key `ready`. */
  publish: {
    input: z.object({ archive: v.archiveAccess, point: z.string(), at: v.clusterTime, port: z.int().nullable(), expiresMs: z.number(), withUsers: z.boolean() }),
    output: z.object({ why: z.enum(['stopped', 'expired']) }),
  },
  /** Lays a whole set down into data directories on this host, brought to a moment. */
  'restore-set': {
    input: z.object({
      archive: v.archiveAccess,
      point: z.string(),
      at: v.clusterTime,
      setName: z.string(),
      members: z.array(memberPlace).min(1),
      start: z.boolean(),
      apply: z.boolean(),
    }),
    output: restored.extend({ plan: z.array(z.string()), applied: z.boolean(), startCommands: z.array(z.array(z.string())), keptAside: z.array(z.string()) }),
  },
  /** One host's part of a set that is restored over several: its members whole in building directories, nothing touched yet. */
  'lay-members': {
    input: z.object({
      archive: v.archiveAccess,
      /** Names the restore on every host, and the new set to its members. */
      restore: restoreId,
      point: z.string(),
      at: v.clusterTime,
      setName: z.string(),
      members: z.array(memberOfAll).min(1),
      /** What members of a set with access control sign in to each other with. */
      key: z.string(),
      apply: z.boolean(),
    }),
    output: z.object({ at: v.clusterTime, planOfSet: z.array(z.string()), plan: z.array(z.string()), startCommands: z.array(z.array(z.string())), needsKey: z.boolean() }),
  },
  /** Runs a program of the operator's that is in this host's directory of hooks. It has run at most once, whatever happens. */
  'run-hook': {
    input: z.object({
      program: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'it takes the name of a file in /etc/tidemark/hooks.d, without a path'),
      args: z.array(z.string().max(4_000).regex(/^[^\0]*$/)).max(50),
      environment: z.record(z.string().regex(/^TIDEMARK_[A-Z_]+$/), z.string().max(4_000)),
      deadlineSeconds: z.int().min(1).max(86_400),
    }),
    output: z.object({ ok: z.boolean(), status: z.string() }),
  },
  /** Puts what was laid down in its places, keeps it there, or takes the host's part back. */
  'place-members': {
    input: z.object({ restore: restoreId, what: z.enum(['place', 'keep', 'take-back']), members: z.array(memberPlace), stamp: z.string().regex(/^\w+$/) }),
    output: z.object({ keptAside: z.array(z.string()) }),
  },
  /** Starts the members of a restored set that are on this host, waits until the whole set takes writes, or stops them again. */
  'start-members': {
    input: z.object({
      what: z.enum(['start', 'settle', 'stop']),
      setName: z.string(),
      members: z.array(memberOfAll).min(1),
      /** Of the members here, in their order. */
      startCommands: z.array(z.array(z.string()).min(1)),
      key: z.string().nullable(),
    }),
    output: z.object({}),
  },
  /** Brings collections, as they were at a moment, into a live set. */
  'restore-collections': {
    input: z.object({
      archive: v.archiveAccess,
      point: z.string(),
      at: v.clusterTime,
      namespaces: z.array(namespaceMap).min(1),
      into: v.mongoTarget,
      existing: z.enum(['refuse', 'aside', 'replace']),
      apply: z.boolean(),
    }),
    output: restored.extend({ plan: z.array(z.string()), applied: z.boolean() }),
  },
  /** Proves that an archive is whole; with `readDataPercent`, or a slice, the bytes of that share of the packs as well. */
  check: {
    input: z.object({ archive: v.archiveAccess, readDataPercent: z.number().min(0).max(100), slice: v.checkSlice.nullable().default(null) }),
    output: z.object({
      ok: z.boolean(),
      points: z.int(),
      chunks: z.number(),
      packs: z.int(),
      readBytes: z.number(),
      damage: z.array(z.object({ object: z.string(), what: z.string() })),
      hurtPoints: z.array(z.string()),
      hurtOplog: z.array(z.object({ after: v.clusterTime, through: v.clusterTime })),
    }),
  },
  /** Tries whether a repository's place keeps what a repository needs, and how fast it is; leaves nothing there. */
  'test-storage': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret, megabytes: z.int().min(1).max(4096) }),
    output: z.object({
      /** Every promise is kept, and nothing would eat a repository. */
      ok: z.boolean(),
      findings: z.array(z.object({ what: z.string(), level: z.enum(['good', 'doubtful', 'bad']), says: z.string() })),
      speeds: z.array(z.object({ what: z.string(), bytes: z.number(), writeSeconds: z.number(), readSeconds: z.number() })),
      /** Null where the place does not say. */
      freeBytes: z.number().nullable(),
      /** How far the times that the place gives are ahead of the host's clock. */
      clockApartMs: z.number(),
    }),
  },
  /** Gives back the space of chunks that no point needs. */
  sweep: {
    input: z.object({ archive: v.archiveAccess }),
    output: z.object({ freedBytes: z.number(), deletedPacks: z.int(), rewrittenPacks: z.int(), keptBytes: z.number(), retainedBytes: z.number().default(0), retainedUntilMs: z.number().nullable().default(null) }),
  },
  /** Takes archived oplog away that no point needs: first it becomes a gap, then, when nobody reads it any more, its bytes go. And merges slices, in the same two steps. */
  'tend-oplog': {
    input: z.object({
      archive: v.archiveAccess,
      wish: z.discriminatedUnion('what', [
        z.object({ what: z.literal('cut'), rule: v.oplogRule.nullable(), /** What time it is at the latest (domain/believed-time.ts). */ nowMs: z.number(), /** Points that sessions work with. */ busy: z.array(z.string()), /** Everything behind it stays too. */ keepFrom: v.clusterTime.nullable() }),
        z.object({ what: z.literal('empty'), cuts: z.array(v.oplogStretch).min(1) }),
        z.object({ what: z.literal('merge') }),
        z.object({ what: z.literal('remove-merged'), merged: z.array(v.oplogStretch).min(1) }),
      ]),
    }),
    output: z.discriminatedUnion('what', [
      /** `full`: every gap whose bytes are still there. */
      v.oplogGoing.extend({ what: z.literal('cut'), full: z.array(v.oplogStretch) }),
      z.object({ what: z.literal('empty'), freedBytes: z.number(), slices: z.int(), chains: z.int() }),
      /** `slices` became `into`; `full`: every merged slice that others still stand inside of. `files`: the slices of the archive, those others included. `left`: slices for later runs; `held`: why it was not more; `stays`: what cannot be merged. */
      z.object({ what: z.literal('merge'), slices: z.int(), into: z.int(), bytes: z.number(), files: z.int(), full: z.array(v.oplogStretch), left: z.int().default(0), held: z.string().nullable().default(null), stays: z.int().default(0) }),
      z.object({ what: z.literal('remove-merged'), freedBytes: z.number(), slices: z.int(), stays: z.int().default(0) }),
    ]),
  },
  /** Brings what a set's archive holds, points and oplog, into its archive in another repository, under that one's key. */
  copy: {
    input: z.object({
      archive: v.archiveAccess,
      /** What is copied. */
      from: v.archiveAccess,
      /** The repository it is in. */
      source: z.object({ id: z.string(), name: z.string() }),
      /** Stands behind the id of a point in that of its copy. */
      suffix: z.string().regex(/^[a-z0-9]{1,32}$/),
      what: z.enum(['all', 'oplog']),
      keep: v.copyKeep,
      /** What time it is at the latest (domain/believed-time.ts). */
      nowMs: z.number(),
    }),
    output: z.object({
      copied: z.array(v.pointSummary),
      failed: z.array(z.object({ point: z.string(), why: z.string() })),
      /** Points that were not copied, because the copy lacks the oplog that leads to their own time. They keep the retention from nothing. */
      outOfReach: z.array(z.object({ point: z.string(), why: z.string() })).default([]),
      /** Proved points that are still to be copied, because only oplog was asked for. */
      waiting: z.int(),
      /** The checkpoint of the oldest point that may still come to be copied: what is behind it is not to go. */
      oplogFrom: v.clusterTime.nullable().default(null),
      /** Copied points that the retention does not keep. */
      surplus: z.array(z.string()),
      /** Copies made before, with a proof of their original that they had not. */
      proved: z.array(z.object({ point: z.string(), proof: v.pointSummary.shape.proof.unwrap() })),
      oplog: z.object({ slices: z.int(), bytes: z.number(), through: v.clusterTime.nullable(), damaged: z.array(z.object({ object: z.string(), what: z.string() })) }),
      bytes: v.pointSummary.shape.bytes,
      seconds: z.number(),
    }),
  },
  /** Heals what is damaged in an archive from another archive of the same set, as far as that has it. */
  repair: {
    input: z.object({
      archive: v.archiveAccess,
      from: v.archiveAccess.nullable().default(null),
      /** The repository it is in. */
      source: z.object({ id: z.string(), name: z.string() }).nullable(),
    }),
    output: z.object({
      /** Everything is whole now. */
      ok: z.boolean(),
      objects: z.array(z.object({ object: z.string(), what: z.string(), healed: z.boolean(), by: z.string() })),
      wholeAgain: z.array(z.string()),
      stillHurt: z.array(z.string()),
      hurtOplog: z.array(z.object({ after: v.clusterTime, through: v.clusterTime })),
      storedBytes: z.number(),
    }),
  },
  /** Finds operations in the archived oplog. */
  'oplog-find': {
    input: z.object({
      archive: v.archiveAccess,
      ns: z.string().nullable(),
      op: z.enum(['insert', 'update', 'delete', 'command']).nullable(),
      /** Extended JSON: fields of the entry's `o` or `o2` that must be equal. */
      match: z.string().nullable(),
      since: v.clusterTime.nullable(),
      until: v.clusterTime.nullable(),
      limit: z.int().min(1).max(10_000),
    }),
    output: z.object({
      matches: z.array(z.object({ at: v.optime, wallMs: z.number().nullable(), op: z.string(), ns: z.string(), what: z.string(), entry: z.string() })),
      examined: z.number(),
      truncated: z.boolean(),
      /** Through which moment the archive was searched; null when it holds nothing between the borders. */
      searchedThrough: v.clusterTime.nullable().default(null),
    }),
  },
  /** Serves one archive of a repository on this host to one other host, over data channels, until stopped. Status key `ready`: {ports}. */
  'serve-archive': {
    input: z.object({
      /** The repository's. */
      location: v.repositoryLocation,
      secret: v.locationSecret,
      setId: z.string().regex(/^[0-9a-f]{24}$/),
      right: z.enum(['read', 'append']),
      isReadOnly: z.boolean().optional(),
      /** Name of the host that may come, as its certificate has it. */
      peer: z.string().min(1),
      /** For a task that goes on until it is stopped: an update does not wait for it. */
      isEndless: z.boolean().default(false),
      ticket: v.dataTicket,
      /** Address to listen at. */
      listen: z.string().min(1),
      range: z.object({ from: z.int().min(1).max(65535), to: z.int().min(1).max(65535) }).default({ from: 2500, to: 3300 }),
      /** As many as are free, and no fewer than two: a mover and its mount have channels of their own. */
      channels: z.int().min(2).max(64).default(4),
      /** The port of this transport's orders, to have all channels come there; null binds ports of the range. */
      singlePort: z.int().min(1).max(65535).nullable().default(null),
      portWaitSeconds: z.number().min(0).max(3600).default(600),
      limits: z.array(v.heldLimit).default([]),
      /** To a share or a bucket, in place of the usual number. */
      connections: v.connections.optional(),
    }),
    output: z.object({ why: z.enum(['stopped', 'left alone']), receivedBytes: z.number(), sentBytes: z.number() }),
  },
  /** Passes the channels of a data session on to the host that serves it, unread, until stopped. Status key `ready`: {ports}. */
  'relay-channels': {
    input: z.object({
      /** The name by which connections ask for the session; its ticket is not told. */
      asked: v.dataSessionAsked,
      isEndless: z.boolean().default(false),
      listen: z.string().min(1),
      range: z.object({ from: z.int().min(1).max(65535), to: z.int().min(1).max(65535) }),
      /** Where the session is served: for each port one is taken here, as far as there are free ones, and no fewer than two. */
      to: z.object({ host: z.string().min(1), ports: z.array(z.int().min(1).max(65535)).min(2).max(64) }),
      /** The port of this transport's orders, to have all channels come there; null binds ports of the range. */
      singlePort: z.int().min(1).max(65535).nullable().default(null),
      portWaitSeconds: z.number().min(0).max(3600).default(600),
    }),
    output: z.object({ why: z.enum(['stopped', 'left alone']), relayedBytes: z.number() }),
  },
} as const;

export type TaskKind = keyof typeof taskKinds;
export type TaskInput<K extends TaskKind> = z.infer<(typeof taskKinds)[K]['input']>;
export type TaskOutput<K extends TaskKind> = z.infer<(typeof taskKinds)[K]['output']>;
export type TaskEvent = z.infer<typeof taskEvent>;

/** How a task stands. A `finished` or `failed` task is kept until `task.forget`. */
export const taskState = z.discriminatedUnion('state', [
  z.object({ state: z.literal('running') }),
  z.object({ state: z.literal('finished'), output: z.unknown() }),
  z.object({ state: z.literal('failed'), failure: v.wireFailure }),
]);
export type TaskState = z.infer<typeof taskState>;
