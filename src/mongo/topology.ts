import type { Document, MongoClient, ObjectId, Timestamp } from 'mongodb';
import type { Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { labelOfClient, openClient, parseHost, runCommand, toMember, type HostAndPort, type MongoAddress } from './connect.ts';
import { commandFailed, notInitiated, standalone } from './failures.ts';

export type MemberState = 'primary' | 'secondary' | 'arbiter' | 'recovering' | 'down' | 'other';

export type SetMember = HostAndPort & {
  readonly id: number;
  /** `host:port` as the configuration writes it. */
  readonly name: string;
  readonly state: MemberState;
  readonly health: boolean;
  readonly priority: number;
  readonly votes: number;
  readonly hidden: boolean;
  readonly delaySeconds: number;
  /** Behind the newest member that is known; null where nothing is known. */
  readonly lagSeconds: number | null;
  readonly applied: Optime | null;
  readonly isArbiter: boolean;
  readonly tags: Readonly<Record<string, string>>;
};

export type SetView = {
  readonly setId: string;
  readonly name: string;
  readonly mongoVersion: string;
  readonly featureCompatibilityVersion: string;
  readonly term: number;
  readonly members: readonly SetMember[];
  /** What the answering member's oplog holds; null without entries. */
  readonly oplog: { readonly oldest: Optime; readonly newest: Optime; readonly seconds: number } | null;
};

/** The set as one of its members sees it at this moment. */
export async function discoverSet(client: MongoClient): Promise<SetView> {
  const config = await readConfig(client);
  const status = await runCommand(client, 'admin', { replSetGetStatus: 1 }, { deadlineMs: 20_000 });
  const build = await runCommand(client, 'admin', { buildInfo: 1 });
  const setId = (config['settings'] as { replicaSetId?: ObjectId } | undefined)?.replicaSetId?.toHexString();
  if (setId === undefined) throw notInitiated({ address: labelOfClient(client) });
  return {
    setId,
    name: String(config['_id']),
    mongoVersion: String(build['version']),
    featureCompatibilityVersion: await featureCompatibilityVersion(client),
    term: Number(status['term']),
    members: joinMembers(config['members'] as Document[], status['members'] as Document[]),
    oplog: await oplogWindow(client),
  };
}

/**
 * The set as the member sees it that answers first, before all one that sees a primary: a member that is cut off takes all
 * others for down. Works without a primary, and with some of the hosts down.
 */
export async function discoverAny(address: MongoAddress, deadlineMs = 5_000): Promise<SetView> {
  const hosts = 'socket' in address ? [undefined] : address.hosts;
  const asked = hosts.map(async (member) => {
    await using client = await openClient(member === undefined ? address : toMember(address, member), { member, deadlineMs, undiagnosed: true });
    return await discoverSet(client);
  });
  const whole = asked.map(async (view) => ((await view).members.some((member) => member.state === 'primary') ? await view : await Promise.reject(new Error('no primary'))));
  try {
    return await Promise.any(whole).catch(async () => await Promise.any(asked));
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

async function readConfig(client: MongoClient): Promise<Document> {
  try {
    return (await runCommand(client, 'admin', { replSetGetConfig: 1 }, { deadlineMs: 20_000 }))['config'] as Document;
  } catch (error) {
    const address = labelOfClient(client);
    if (isFailure(error, commandFailed) && /NoReplicationEnabled/.test(error.message)) throw standalone({ address }, error);
    if (isFailure(error, commandFailed) && /NotYetInitialized/.test(error.message)) throw notInitiated({ address }, error);
    throw error;
  }
}

/** The version whose formats the set writes; during an upgrade the one it still keeps to. */
export async function featureCompatibilityVersion(client: MongoClient): Promise<string> {
  const answer = await runCommand(client, 'admin', { getParameter: 1, featureCompatibilityVersion: 1 });
  const value = answer['featureCompatibilityVersion'] as { version?: string } | string | undefined;
  return typeof value === 'string' ? value : (value?.version ?? 'unknown');
}

/** The oldest and newest entries of the oplog of the member that the client talks to. */
export async function oplogWindow(client: MongoClient): Promise<SetView['oplog']> {
  const oplog = client.db('local').collection('oplog.rs');
  const end = async (direction: 1 | -1): Promise<Optime | null> => {
    const [entry] = await oplog.find({}, { projection: { ts: 1, t: 1 }, maxTimeMS: 20_000 }).sort({ $natural: direction }).limit(1).toArray();
    return entry === undefined ? null : optimeOf({ ts: entry['ts'] as Timestamp, t: entry['t'] as unknown });
  };
  const oldest = await end(1);
  const newest = await end(-1);
  return oldest === null || newest === null ? null : { oldest, newest, seconds: newest.t - oldest.t };
}

/** `{ts, t}` as commands write optimes. Entries written before the first election have no `t`. */
export function optimeOf(value: { ts: Timestamp; t?: unknown }): Optime {
  const term = value.t === undefined || value.t === null ? -1 : Number(value.t);
  return { t: value.ts.getHighBitsUnsigned(), i: value.ts.getLowBitsUnsigned(), term };
}

function joinMembers(config: readonly Document[], status: readonly Document[]): SetMember[] {
  const seen = new Map(status.map((member) => [Number(member['_id']), member]));
  const newest = Math.max(...status.map((member) => secondsOf(member) ?? 0));
  return config.map((member) => {
    const live = seen.get(Number(member['_id']));
    const at = live === undefined ? undefined : secondsOf(live);
    return {
      id: Number(member['_id']),
      name: String(member['host']),
      ...parseHost(String(member['host'])),
      state: stateOf(live),
      health: live?.['health'] === 1,
      priority: Number(member['priority']),
      votes: Number(member['votes']),
      hidden: member['hidden'] === true,
      delaySeconds: Number(member['secondaryDelaySecs'] ?? 0),
      lagSeconds: at === undefined || newest === 0 ? null : newest - at,
      applied: live?.['optime'] === undefined || at === undefined ? null : optimeOf(live['optime'] as { ts: Timestamp; t: unknown }),
      isArbiter: member['arbiterOnly'] === true,
      tags: Object.fromEntries(Object.entries((member['tags'] ?? {}) as Document).map(([name, value]) => [name, String(value)])),
    };
  });
}

/** An arbiter has no optime, a member that is down has the null one. */
function secondsOf(member: Document): number | undefined {
  const ts = (member['optime'] as { ts?: Timestamp } | undefined)?.ts?.getHighBitsUnsigned();
  return ts === undefined || ts === 0 ? undefined : ts;
}

function stateOf(member: Document | undefined): MemberState {
  if (member === undefined || member['health'] !== 1) return 'down';
  switch (Number(member['state'])) {
    case 1:
      return 'primary';
    case 2:
      return 'secondary';
    case 7:
      return 'arbiter';
    case 3:
    case 5:
    case 9:
      return 'recovering';
    case 8:
      return 'down';
    default:
      return 'other';
  }
}
