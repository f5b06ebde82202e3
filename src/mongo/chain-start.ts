/**
 * Where a new oplog chain must begin, so that every copy taken from now on can be brought forward by it.
 *
 * A copy of any member stands at that member's stable checkpoint, which may be a minute old. And a transaction that is
 * open now has entries from its start on. So the chain begins at or before the oldest of these.
 */
import { Timestamp, type MongoClient } from 'mongodb';
import { compareTimes, earliest, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { describe } from '../base/failure.ts';
import { silentLog, type Log } from '../base/log.ts';
import { openClient, toMember, type MongoAddress } from './connect.ts';
import { noSource } from './failures.ts';
import { discoverAny, optimeOf, type SetMember, type SetView } from './topology.ts';

/** The optime that a new chain starts after. Members that cannot be asked, and delayed ones, do not count. */
export async function chooseChainStart(address: MongoAddress, log: Log = silentLog): Promise<Optime> {
  const set = await discoverAny(address);
  const asked = set.members.filter((member) => (member.state === 'primary' || member.state === 'secondary') && member.delaySeconds === 0);
  // The primary's oplog is asked first for the entry itself: it has all that is committed.
  asked.sort((a, b) => Number(b.state === 'primary') - Number(a.state === 'primary'));
  const bounds: ClusterTime[] = [];
  for (const member of asked) {
    try {
      await using client = await openClient(toMember(address, member), { member });
      bounds.push(...(await boundsOf(client, member)));
    } catch (error) {
      log.warn('a member was not asked for its stable checkpoint', { member: member.name, why: describe(error) });
    }
  }
  if (bounds.length === 0) throw noSource({ set: set.name, why: 'no data member told its stable checkpoint' });
  return await entryAtOrBefore(address, set, asked, bounds.reduce(earliest), log);
}

async function boundsOf(client: MongoClient, member: SetMember): Promise<ClusterTime[]> {
  const status = await client.db('admin').command({ replSetGetStatus: 1 });
  const stable = status['lastStableRecoveryTimestamp'] as Timestamp | undefined;
  const bounds = stable === undefined ? [] : [optimeOf({ ts: stable })];
  if (member.state !== 'primary') return bounds;
  const [open] = await client
    .db('config')
    .collection('transactions')
    .find({ state: { $in: ['prepared', 'inProgress'] }, startOpTime: { $exists: true } }, { maxTimeMS: 20_000 })
    .sort({ 'startOpTime.ts': 1 })
    .limit(1)
    .toArray();
  const start = open?.['startOpTime'] as { ts: Timestamp } | undefined;
  if (start === undefined) return bounds;
  // Its first entry must be part of the chain, so the chain starts after the one before.
  const at = optimeOf(start);
  return [...bounds, at.i > 0 ? { t: at.t, i: at.i - 1 } : { t: at.t - 1, i: 0xffffffff }];
}

async function entryAtOrBefore(address: MongoAddress, set: SetView, members: readonly SetMember[], bound: ClusterTime, log: Log): Promise<Optime> {
  let oldest: Optime | undefined;
  for (const member of members) {
    try {
      await using client = await openClient(toMember(address, member), { member });
      const oplog = client.db('local').collection('oplog.rs', { readConcern: { level: 'majority' } });
      const fields = { projection: { ts: 1, t: 1 }, maxTimeMS: 30_000 };
      const [entry] = await oplog.find({ ts: { $lte: new Timestamp(bound) } }, fields).sort({ $natural: -1 }).limit(1).toArray();
      if (entry !== undefined) return optimeOf({ ts: entry['ts'] as Timestamp, t: entry['t'] as unknown });
      const [first] = await oplog.find({}, fields).sort({ $natural: 1 }).limit(1).toArray();
      const at = first === undefined ? undefined : optimeOf({ ts: first['ts'] as Timestamp, t: first['t'] as unknown });
      if (at !== undefined && (oldest === undefined || compareTimes(at, oldest) < 0)) oldest = at;
    } catch (error) {
      log.warn('a member was not asked for the start of a chain', { member: member.name, why: describe(error) });
    }
  }
  if (oldest === undefined) throw noSource({ set: set.name, why: 'no oplog could be read' });
  return oldest;
}
