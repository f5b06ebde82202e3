/**
 * One restore to one moment, by one of the ordinary ways, and its verdict: the ledger's, document by document, and that
 * of the second path, hash by hash.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { compareTimes, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { openClient } from '../../src/mongo/connect.ts';
import type { Hashes } from '../../src/mongo/dbhash.ts';
import type { MongoClient } from 'mongodb';
import { freePorts } from '../../test/kit/free-port.ts';
import type { Platform } from '../../test/kit/platform.ts';
import type { ReplicaSet } from '../../test/kit/replica-set.ts';
import { compareLedger } from '../demo/verdict.ts';
import type { Ledger } from './ledger.ts';
import { openRestored } from './restored.ts';
import { differencesOf, differencesOfHashes, stateOf, type State } from './state.ts';

export const WAYS = ['publish', 'verify', 'restore'] as const;
export type Way = (typeof WAYS)[number];
export type Trial = { readonly way: Way; readonly at: ClusterTime };
export type Verdict = { readonly differences: readonly string[]; readonly checked: number; readonly inDoubt: number };

type Bed = {
  readonly platform: Platform;
  readonly set: ReplicaSet;
  readonly setName: string;
  readonly ledger: Ledger;
  readonly directory: string;
  /** Collections with an index build begun at or before a moment and not ended by then: a member goes on with it. */
  unfinishedBuilds(at: ClusterTime): Promise<ReadonlySet<string>>;
};

export async function tryMoment(bed: Bed, { way, at }: Trial, wanted: () => Promise<State>): Promise<Verdict> {
  if (way === 'verify') return await verified(bed, at, wanted);
  if (way === 'publish') return await published(bed, at, wanted);
  return await restored(bed, at, wanted);
}

async function published({ platform, setName, ledger }: Bed, at: ClusterTime, wanted: () => Promise<State>): Promise<Verdict> {
  const publication = await platform.ok('publish', 'start', setName, '--at', showTime(at), '--no-users', '--expires', '10m');
  try {
    const port = Number(new URL(String(publication.uri).replace('mongodb:', 'http:')).port);
    await using client = await openClient({ hosts: [{ host: '127.0.0.1', port }] }, { member: { host: '127.0.0.1', port }, silenceMs: null });
    return await judged(client, ledger, at, wanted);
  } finally {
    await platform.tidemark('publish', 'stop', String(publication.id));
  }
}

/** The product's own full proof: it hashes, we compare its hashes with the second path's. */
async function verified({ platform, setName }: Bed, at: ClusterTime, wanted: () => Promise<State>): Promise<Verdict> {
  const { points } = await platform.ok('point', 'list', setName);
  const point = (points as { id: string; checkpoint: ClusterTime }[]).findLast((each) => compareTimes(each.checkpoint, at) <= 0);
  if (point === undefined) throw new Error(`no point at or before ${showTime(at)}`);
  const answer = await platform.ok('point', 'verify', point.id, '--full', '--at', showTime(at));
  return { differences: differencesOfHashes(await wanted(), answer.dbHash as Hashes), checked: 0, inDoubt: 0 };
}

async function restored({ platform, set, setName, ledger, directory, unfinishedBuilds }: Bed, at: ClusterTime, wanted: () => Promise<State>): Promise<Verdict> {
  const target = join(directory, 'restored');
  const [port] = await freePorts(1);
  try {
    const answer = await platform.ok('restore', 'set', setName, '--at', showTime(at), '--to-dir', `${target}:${port}`, '--apply');
    await using member = await openRestored(set.binary, (answer.startCommands as [string[]])[0], port!);
    return await judged(member.client, ledger, at, wanted, await unfinishedBuilds(at));
  } finally {
    rmSync(target, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function judged(client: MongoClient, ledger: Ledger, at: ClusterTime, wanted: () => Promise<State>, building: ReadonlySet<string> = new Set()): Promise<Verdict> {
  const byLedger = await compareLedger(client, ledger, at);
  const byState = differencesOf(await wanted(), await stateOf(client), building);
  const list = (what: string, ids: readonly string[]): string[] => (ids.length === 0 ? [] : [`ledger: ${ids.length} ${what}, such as ${ids.slice(0, 3).join('; ')}`]);
  return {
    differences: [...list('missing', byLedger.missing), ...list('from later', byLedger.later), ...list('of another version', byLedger.wrong), ...byState],
    checked: byLedger.checked,
    inDoubt: byLedger.inDoubt,
  };
}
