/**
 * Orders: what the server may ask of a host's services over their mutual-TLS links, version 1: of its transport service,
 * and of its deployer (deployer-orders.ts). An order is answered within its deadline; long work of a transport is a
 * task (tasks.ts).
 */
import * as z from 'zod';
import { hostLook } from './host-look.ts';
import { deployerOrders, serversTold } from './deployer-orders.ts';
import { promptMs } from './link/silence.ts';
import { ownName, portRange, probeResult, probeTarget, resolverSettings } from './ports.ts';
import * as v from './values.ts';
import { taskEvent, taskKinds, taskState, type TaskKind } from './tasks.ts';

export const contractVersion = 1;

const taskKind = z.enum(Object.keys(taskKinds) as [TaskKind, ...TaskKind[]]);

const transportOrders = {
  /** Who answers, and what this host has and lacks. */
  'host.describe': {
    input: z.object({}),
    output: z.object({
      version: z.string(),
      contract: z.int(),
      hostname: z.string(),
      platform: z.string(),
      timeMs: z.number(),
      findings: z.array(z.object({ what: z.string(), ok: z.boolean(), says: z.string() })),
      /** The range for data channels in the host's own settings; absent where it has none of its own. */
      dataPorts: portRange.optional(),
    }),
    deadlineMs: promptMs,
  },
  /** Told with each link, and when it changes: a server that is gone takes no host with it. */
  'host.servers': serversTold,
  /** What stands wrong with the locks of hardened repositories on this host; nothing where it has none. `place` null: the host itself. */
  'warden.alarms': {
    input: z.object({}),
    output: z.object({ alarms: z.array(z.object({ atMs: z.number(), place: z.string().max(4096).nullable(), says: z.string().max(4096) })).max(1000) }),
    deadlineMs: promptMs,
  },
  /** Fails unless this program may run as a hook here, as things stand. */
  'hook.judge': { input: z.object({ program: z.string().max(100) }), output: z.object({}), deadlineMs: promptMs },
  /** The machine and every mongod on it, as a rescan wants to know them. */
  'host.look': { input: z.object({}), output: z.object({ look: hostLook }), deadlineMs: 60_000 },
  /** A replica set over the wire, without a look at files: its members as the set and as each of them says. */
  'set.look': { input: z.object({ target: v.mongoTarget }), output: v.setLook, deadlineMs: 60_000 },
  'set.discover': { input: z.object({ target: v.mongoTarget }), output: v.discovered, deadlineMs: 60_000 },
  /** Gives back locks that killed backups of this set left on members whose mongod runs here; answers a sentence for each. */
  'set.undo-leftovers': { input: z.object({ target: v.mongoTarget }), output: z.object({ undone: z.array(z.string()) }), deadlineMs: 60_000 },
  /** Makes a repository, or opens the one that is there; answers the key that opens all of it. `attach`: nothing is written, nor will be. */
  'repository.open': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret, passphrase: z.string().min(1), create: z.boolean(), attach: z.boolean().default(false), immutable: v.immutable.nullable().default(null) }),
    output: z.object({ repositoryId: z.string(), keyHex: z.string(), created: z.boolean(), immutable: v.immutable.nullable().default(null) }),
    deadlineMs: 60_000,
  },
  /** The key of one set's archive, made from the repository's key; makes the archive when it is not there. */
  'archive.open': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret, repositoryKeyHex: z.string(), setId: z.string(), setName: z.string() }),
    output: z.object({ keyHex: v.archiveAccess.shape.keyHex }),
    deadlineMs: promptMs,
  },
  /** Whether the place keeps what it can break, before the first writing there by this server. */
  'repository.try': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret }),
    output: z.object({}),
    deadlineMs: 60_000,
  },
  /** Raises for how many days everything is kept; fewer are refused. */
  'repository.raise': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret, days: v.immutable.shape.days }),
    output: z.object({}),
    deadlineMs: 60_000,
  },
  /** Every archive of a repository with its key. */
  'repository.archives': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret, repositoryKeyHex: z.string() }),
    output: z.object({ archives: z.array(z.object({ setId: z.string(), setName: z.string(), keyHex: z.string() })) }),
    deadlineMs: 60_000,
  },
  /** Who works in an archive now, as far as it may be alive. */
  'archive.holders': {
    input: z.object({ archive: v.archiveAccess }),
    output: z.object({ holders: z.array(z.object({ what: z.enum(['writer', 'sweep', 'oplog']), seenMs: z.number(), untilMs: z.number() })) }),
    deadlineMs: promptMs,
  },
  /** Keeps the sealed configuration of a server under a name, and of those of the same installation the newest `keep`. */
  'repository.keep-configuration': {
    input: z.object({ location: v.repositoryLocation, secret: v.locationSecret, name: z.string().regex(/^server\/[0-9a-f]{16}\/[0-9a-f]{24}$/), bytes: z.base64(), keep: z.int().min(1) }),
    /** `newest`: the greatest name there; another one than that which was given is of a clock that was ahead. */
    output: z.object({ newest: z.string().optional() }),
    deadlineMs: 60_000,
  },
  'archive.window': { input: z.object({ archive: v.archiveAccess }), output: v.window, deadlineMs: 60_000 },
  /** What of the archived oplog would go. */
  'archive.oplog-plan': {
    input: z.object({ archive: v.archiveAccess, rule: v.oplogRule.nullable(), /** What time it is at the latest (domain/believed-time.ts). */ nowMs: z.number(), busy: z.array(z.string()), /** Points that are about to go. */ without: z.array(z.string()), keepFrom: v.clusterTime.nullable() }),
    output: v.oplogGoing.extend({ /** Gaps whose bytes are still there. */ full: z.int(), /** Slices that would be merged, and merged ones that others stand inside of. */ merges: z.int().default(0) }),
    deadlineMs: 60_000,
  },
  'point.delete': { input: z.object({ archive: v.archiveAccess, point: z.string() }), output: z.object({}), deadlineMs: promptMs },
  /** Records on the point itself what a proof found. */
  'point.record-proof': {
    input: z.object({ archive: v.archiveAccess, point: z.string(), proof: v.pointSummary.shape.proof.unwrap() }),
    output: z.object({}),
    deadlineMs: promptMs,
  },
  /** Tries ports of other machines from this host; the answers are in the order of the questions. */
  'ports.probe': {
    input: z.object({ targets: z.array(probeTarget).max(10_000), eachMs: z.int().min(100).max(30_000).default(4_000) }),
    output: z.object({ results: z.array(probeResult) }),
    deadlineMs: 75_000,
  },
  /** Listens with this host's certificate on a few free ports of a range for as long as the call is open; the event names them. */
  'ports.listen': {
    input: z.object({ address: z.string(), range: portRange, count: z.int().min(1).max(8).default(3) }),
    output: z.object({}),
    event: z.object({ ports: z.array(z.int()) }),
    deadlineMs: 90_000,
  },
  /** What this host's own resolver makes of names, one after the other; those there was no time for are left out. */
  'names.look': {
    input: z.object({ names: z.array(z.string().min(1).max(255)).max(200) }),
    output: z.object({ addresses: z.array(z.string()).max(200), resolver: resolverSettings, found: z.array(ownName).max(200) }),
    deadlineMs: promptMs,
  },
  /** `session`: whose work it is, for the log of the host. */
  'task.start': { input: z.object({ taskId: z.string(), kind: taskKind, input: z.unknown(), session: z.string().optional() }), output: z.object({}), deadlineMs: promptMs },
  /** Events from number `after` on, as a stream; ends with the task's final state. */
  'task.watch': { input: z.object({ taskId: z.string(), after: z.int() }), output: taskState, event: z.object({ number: z.int(), event: taskEvent }), deadlineMs: null },
  'task.stop': { input: z.object({ taskId: z.string() }), output: z.object({}), deadlineMs: promptMs },
  'task.list': { input: z.object({}), output: z.object({ tasks: z.array(z.object({ taskId: z.string(), kind: taskKind, state: taskState })) }), deadlineMs: promptMs },
  'task.forget': { input: z.object({ taskId: z.string() }), output: z.object({}), deadlineMs: promptMs },
} as const;

export const orders = { ...transportOrders, ...deployerOrders } as const;

export type TransportOrder = keyof typeof transportOrders;
export type DeployerOrder = keyof typeof deployerOrders;
export type OrderName = keyof typeof orders;
export type OrderInput<N extends OrderName> = z.infer<(typeof orders)[N]['input']>;
/** What a caller may leave out is filled in with defaults. */
export type OrderGiven<N extends OrderName> = z.input<(typeof orders)[N]['input']>;
export type OrderOutput<N extends OrderName> = z.infer<(typeof orders)[N]['output']>;
/** What a call of this order sends while it runs; most orders send nothing. */
export type OrderEvent<N extends OrderName> = (typeof orders)[N] extends { readonly event: infer E extends z.ZodType } ? z.infer<E> : never;
