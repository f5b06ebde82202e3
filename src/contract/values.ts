/** The nouns that several messages carry. Times are MongoDB cluster times unless the name ends in `Ms` (UTC milliseconds). */
import * as z from 'zod';
import { checkOutcome } from './checks.ts';

export const clusterTime = z.object({ t: z.int().min(0).max(0xffffffff), i: z.int().min(0).max(0xffffffff) });
export const optime = clusterTime.extend({ term: z.int() });

/** What a host runs: which ports lead to it and how its paths are written follows from it. */
export const hostPlatform = z.enum(['linux', 'windows']);

export const hostAndPort = z.object({ host: z.string().min(1), port: z.int().min(1).max(65535) });
export type HostAndPort = z.infer<typeof hostAndPort>;
/** Where hosts reach one of the servers: to renew their certificates, and to open order links where they dial in. */
export const serverAddress = z.object({ enrolment: hostAndPort, orders: hostAndPort });
export type ServerAddress = z.infer<typeof serverAddress>;

/** How to sign in to a database. Secrets in it cross only mutual-TLS links and process pipes. */
export const databaseCredential = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('scram'), user: z.string().min(1), password: z.string(), authSource: z.string().default('admin') }),
  z.object({ kind: z.literal('x509') }),
]);

export const databaseTls = z.object({ caPem: z.string().optional(), certificatePem: z.string().optional(), keyPem: z.string().optional(), keyPassword: z.string().optional() });

/** A replica set as it is reached: any of its members, and how to sign in. */
export const mongoTarget = z.object({
  hosts: z.array(hostAndPort).min(1),
  /** The name behind `mongodb+srv://` that these hosts were found by; they are not looked up again. */
  srv: z.string().min(1).max(253).optional(),
  replicaSet: z.string().optional(),
  credential: databaseCredential,
  tls: databaseTls.optional(),
});

const directoryLocation = z.object({ kind: z.literal('directory'), path: z.string().min(1) });

/** Whether each host opens the place itself; otherwise the repository's host does, and the others send to it. */
const isStraight = z.boolean().default(true);

/** A folder on an SMB 3 share. Its secret is the user's password. */
const smbLocation = z.object({
  kind: z.literal('smb'),
  server: z.string().min(1).max(253),
  port: z.int().min(1).max(65535).default(445),
  share: z.string().regex(/^[^/\\]{1,80}$/),
  /** Below the share, with '/'; empty: the share's top. */
  path: z.string().max(500).default(''),
  user: z.string().min(1),
  /** Empty: an account of the server itself. */
  domain: z.string().default(''),
  /** `required` refuses a server that does not encrypt; signing is always required. */
  encryption: z.enum(['required', 'if-offered']).default('if-offered'),
  /** Names of servers are looked up by NetBIOS (ports 137–139), too. */
  netbios: z.boolean().default(false),
  straight: isStraight,
});

/** A prefix in a bucket of an S3-compatible store. Its secret is the secret access key. */
const s3Location = z.object({
  kind: z.literal('s3'),
  /** http:// or https://, with the port if it is not the usual one. */
  endpoint: z.url({ protocol: /^https?$/ }),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  /** Without '/' at its ends; empty: the whole bucket. */
  prefix: z.string().max(500).default(''),
  region: z.string().min(1).default('us-east-1'),
  style: z.enum(['path', 'virtual-host']).default('path'),
  accessKeyId: z.string().min(1),
  /** PEM of the authority that signed the store's certificate; null: those that the host trusts. */
  caPem: z.string().nullable().default(null),
  /**
   * Asked of the store, and read back: AES256, with keys that the store keeps, or `kms`, with a key of its key service, by its id. What is in a
   * repository is encrypted either way.
   */
  sse: z.union([z.enum(['AES256']), z.object({ kms: z.string().regex(/^[\x21-\x7e]{1,2048}$/) })]).nullable().default(null),
  straight: isStraight,
});

export const lockMode = z.enum(['compliance', 'governance']);

/** For so many days nobody can change or delete what is stored; `mode` is that of a bucket's locks, null for a directory. */
export const immutable = z.object({ days: z.int().min(1).max(36_500), mode: lockMode.nullable().default(null) });
export type Immutable = z.infer<typeof immutable>;

/** Where a repository's bytes are. */
export const repositoryLocation = z.discriminatedUnion('kind', [directoryLocation, smbLocation, s3Location]);

/** What opens the place, where its kind asks for one: never in an answer, never in a log. */
export const locationSecret = z.string().min(1).nullable().default(null);

export const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'it takes a time of the day, such as "22:00"');

/** How fast data may flow between two times of the host's day; the same time twice is the whole day. The lowest of several holds. */
export const bandwidthLimit = z.object({ mbitPerSecond: z.number().min(0.1), from: timeOfDay, to: timeOfDay });

export const bandwidthLimits = z.array(bandwidthLimit).max(48);

/** Of a task to a repository, at once. */
export const connections = z.int().min(2).max(32);

/** As a task is told of it. `of`: whose it is, which all tasks of a host have in common; services of before hold each limit for a task alone. */
export const heldLimit = bandwidthLimit.extend({ of: z.string().optional() });

export const dataTicket = z.string().regex(/^[0-9a-f]{64}$/);

/** What a connection asks for, in the clear; made of the ticket, and tells nothing of it. */
export const dataSessionAsked = z.string().regex(/^[0-9a-f]{32}\.tidemark$/);

/** An archive that another host serves: a data session of its transport (task `serve-archive`), dialled at `host`, which may be a gateway. */
export const channelLocation = z.object({
  kind: z.literal('channel'),
  host: z.string().min(1),
  /** Of the host that serves, as its certificate has it. */
  name: z.string().min(1),
  /** One for each channel; the same one for all where they share a port. */
  ports: z.array(z.int().min(1).max(65535)).min(1).max(64),
  ticket: dataTicket,
  limits: z.array(heldLimit).default([]),
});

export const archiveLocation = z.discriminatedUnion('kind', [...repositoryLocation.options, channelLocation]);

/** One set's archive inside a repository, with the key that opens this archive and no other. */
export const archiveAccess = z.object({
  location: archiveLocation,
  secret: locationSecret,
  setId: z.string().regex(/^[0-9a-f]{24}$/),
  keyHex: z.string().regex(/^[0-9a-f]{64}$/),
  /** Nothing is written: the repository is attached, and is somebody else's. */
  isReadOnly: z.boolean().optional(),
  /** Of a place that whoever works with it opens itself; of a channel they stand with it. */
  limits: z.array(heldLimit).optional(),
  /** To a share or a bucket, in place of the usual number. */
  connections: connections.optional(),
});

/** How long copies stay: for days, or so many of them. Never fewer than three. */
/** How long archived oplog is kept: as long as a restore point can use it, or for so many days, and for older points what leads to their own time. */
export const oplogRule = z.discriminatedUnion('kind', [z.object({ kind: z.literal('points') }), z.object({ kind: z.literal('days'), days: z.int().min(1).max(36_500) })]);

/** The entries of (after, through] of a chain. */
export const oplogStretch = z.object({ chain: z.string(), after: clusterTime, through: clusterTime });

/** So many slices of archived oplog became so many; `files`: how many there are now. */
export const oplogMerged = z.object({ slices: z.int(), into: z.int(), files: z.int() });

/** What of the archived oplog goes, or would go. */
export const oplogGoing = z.object({
  goes: z.array(oplogStretch.extend({ slices: z.int(), bytes: z.number() })),
  /** Of slices that would go and are still retained. */
  retainedBytes: z.number(),
  retainedUntilMs: z.number().nullable(),
  /** Why everything stays; null: only what is needed does. */
  says: z.string().nullable(),
});

const oplogDays = z.int().min(1).max(36_500).optional().meta({ description: 'for how many days single moments are kept; absent: as long as a copied point leads to them' });
export const copyKeep = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('days'), days: z.int().min(1).max(36_500), oplogDays }),
  z.object({ kind: z.literal('points'), points: z.int().min(3).max(100_000), oplogDays }),
]);

export const copyMethod = z.enum(['clone', 'window', 'lock']);

/** What a restore point is, as lists show it. */
export const pointSummary = z.object({
  id: z.string(),
  setId: z.string(),
  setName: z.string(),
  createdAtMs: z.number(),
  /** The copy's stable checkpoint: the earliest moment this point can be brought to. */
  checkpoint: clusterTime,
  /** The newest entry in the copy's own oplog: the moment the point stands for. */
  top: optime,
  method: copyMethod,
  /** Whether it was made on top of an earlier point; every point is whole either way. Null: not known. */
  copied: z.enum(['full', 'incremental']).nullable().default(null),
  source: z.string(),
  mongoVersion: z.string(),
  featureCompatibilityVersion: z.string(),
  chain: z.string().nullable(),
  bytes: z.object({ processed: z.number(), read: z.number(), transferred: z.number(), stored: z.number() }),
  files: z.int(),
  /** `checks`: the operator's own, as they went; absent where none was asked. */
  proof: z.object({ level: z.enum(['open', 'full']), atMs: z.number(), ok: z.boolean(), says: z.string(), checks: z.array(checkOutcome).optional() }).nullable(),
  /** When each of its proofs was made, by the clock of whoever made it: it names a proof, and does not order them. Absent: not known. */
  proofsAtMs: z.array(z.number()).optional(),
  /** The point that this one is the copy of, and its repository's id and name; null: it was made from a database. */
  copiedFrom: z.object({ repository: z.string(), repositoryName: z.string(), point: z.string() }).nullable().default(null),
});

export const window = z.object({
  from: clusterTime.nullable(),
  to: clusterTime.nullable(),
  lossIfDisasterNowSeconds: z.number().nullable(),
  /** `ownFrom`: where a chain begins with times that the one before it has, too, its first entry that the other one has not; up to there the other one is what was. */
  spans: z.array(z.object({ chain: z.string(), after: clusterTime, through: clusterTime, ownFrom: clusterTime.optional() })),
  /** What no restore point leads to. `resumesAt`: the first moment behind it that one does; null: a new restore point is needed first. */
  gaps: z.array(z.object({ after: clusterTime, resumesAt: clusterTime.nullable(), reason: z.string() })),
  barriers: z.array(z.object({ at: clusterTime, what: z.string() })),
  points: z.array(pointSummary),
  /** Objects of the archive that cannot be read; `point` names the restore point that nobody can restore for it. */
  damaged: z.array(z.object({ object: z.string(), what: z.string(), point: z.string().nullable() })),
});

/** Of all objects of a repository, cut into `of` parts by their names, some parts, counted from 0. */
export const checkSlice = z.object({ of: z.int().min(1).max(3_650), parts: z.array(z.int().min(0)) });
export type CheckSlice = z.infer<typeof checkSlice>;

export const wireFailure = z.object({ code: z.string(), message: z.string(), hint: z.string(), retry: z.enum(['never', 'later', 'now']), details: z.record(z.string(), z.unknown()) });

export const member = z.object({
  id: z.int(),
  host: z.string(),
  port: z.int(),
  state: z.enum(['primary', 'secondary', 'arbiter', 'recovering', 'down', 'other']),
  health: z.boolean(),
  priority: z.number(),
  votes: z.int(),
  hidden: z.boolean(),
  delaySeconds: z.number(),
  lagSeconds: z.number().nullable(),
  /** By the set's configuration, whatever state it is in. Services of before do not tell it. */
  isArbiter: z.boolean().default(false),
});

/** A member as a rescan knows it: what the set says of it, and what it says of itself. */
export const memberLook = member.extend({
  tags: z.record(z.string(), z.string()),
  /** Asked of the member itself; null where it could not be. */
  version: z.string().nullable(),
  /** From its oldest to its newest oplog entry; null for an arbiter, too. */
  oplogSeconds: z.number().nullable(),
  /** What its oplog will hold when it is full, at the pace of its writing so far. */
  oplogReachSeconds: z.number().nullable().default(null),
  /** Why it could not be asked. */
  says: z.string().nullable(),
});

/** A replica set as it is seen over the wire, from one of its members. */
export const setLook = z.object({
  setId: z.string().regex(/^[0-9a-f]{24}$/),
  name: z.string(),
  featureCompatibilityVersion: z.string(),
  members: z.array(memberLook),
});

/** What a look at a replica set through one member told. */
export const discovered = z.object({
  setId: z.string(),
  name: z.string(),
  mongoVersion: z.string(),
  featureCompatibilityVersion: z.string(),
  members: z.array(member),
  /** Members whose mongod runs on the host that answers, with what a copy needs to know. */
  local: z.array(
    z.object({
      member: z.string(),
      /** The host it runs on; said by the server, not by the host itself. */
      host: z.string().optional(),
      dbPath: z.string(),
      fileSystem: z.string(),
      methods: z.array(z.object({ method: copyMethod, possible: z.boolean(), why: z.string() })),
      binary: z.string(),
    }),
  ),
});

export type MongoTarget = z.infer<typeof mongoTarget>;
export type DatabaseCredential = z.infer<typeof databaseCredential>;
export type ArchiveAccess = z.infer<typeof archiveAccess>;
export type RepositoryLocation = z.infer<typeof repositoryLocation>;
export type SmbLocation = z.infer<typeof smbLocation>;
export type S3Location = z.infer<typeof s3Location>;
export type ArchiveLocation = z.infer<typeof archiveLocation>;
export type ChannelLocation = z.infer<typeof channelLocation>;
export type BandwidthLimit = z.infer<typeof bandwidthLimit>;
export type HeldLimit = z.infer<typeof heldLimit>;
export type PointSummary = z.infer<typeof pointSummary>;
export type Window = z.infer<typeof window>;
export type Discovered = z.infer<typeof discovered>;
export type Member = z.infer<typeof member>;
export type MemberLook = z.infer<typeof memberLook>;
export type SetLook = z.infer<typeof setLook>;
export type CopyKeep = z.infer<typeof copyKeep>;
export type OplogGoing = z.infer<typeof oplogGoing>;
export type OplogMerged = z.infer<typeof oplogMerged>;
export type OplogRule = z.infer<typeof oplogRule>;
export type OplogStretch = z.infer<typeof oplogStretch>;
export type CopyMethod = z.infer<typeof copyMethod>;
