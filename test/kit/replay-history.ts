/**
 * A history with everything in it that replays get wrong, on a real set, with two copies taken by pulling the plug: one of a
 * secondary and one of a primary, both with a checkpoint older than the top of their oplog, and the primary's with the
 * truncate point that primaries keep. The set elects a new primary in the middle, and is gone at the end.
 */
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { snapshotOf, type Snapshot } from '../../src/mongo/dbhash.ts';
import { captureOplog, copyFiles, timeOf, type CapturedOplog, type FileCopy } from './oplog-capture.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from './replica-set.ts';

export type Paused = { readonly at: ClusterTime; readonly snapshot: Snapshot };

export type ReplayHistory = {
  readonly binary: string;
  readonly mongoVersion: string;
  readonly oplog: CapturedOplog;
  readonly secondaryCopy: FileCopy;
  readonly primaryCopy: FileCopy;
  /** Moments at which nobody wrote, and what the set held then. */
  readonly paused: { readonly beforeTransaction: Paused; readonly afterTransaction: Paused; readonly end: Paused };
};

/** No election but the one that is asked for, however slow the machine. */
const calm = { electionTimeoutMillis: 30_000, catchUpTimeoutMillis: 0 };

export async function makeHistory(directory: string): Promise<ReplayHistory> {
  // Only fsync makes checkpoints, so that copies have entries above theirs.
  await using set = await openReplicaSet({
    members: 3,
    args: ['--syncdelay', '3600', '--wiredTigerEngineConfigString', 'log=(file_max=16MB,prealloc=false)'],
    oplogSizeMb: 256,
    settings: calm,
    memberConfig: [{ priority: 1 }, { priority: 1 }, { priority: 1 }],
  });
  await using client = await set.client({ more: { writeConcern: { w: 3, wtimeoutMS: 60_000 } } });
  const shop = client.db('shop');
  await seed(client);
  const [secondary] = (await set.secondaries()) as [SetMember];
  const secondaryCheckpoint = await checkpoint(secondary);
  const primary = await set.primary();
  const primaryCheckpoint = await checkpoint(primary);
  await crud(client);
  await ddl(client);
  const beforeTransaction = await pause(client);
  const secondaryCopy = await pullThePlug(
    secondary,
    join(directory, 'secondary'),
    secondaryCheckpoint,
    beforeTransaction.at,
  );
  await secondary.restart();
  await set.settled();
  await largeTransaction(client);
  await shop.collection<any>('orders').updateMany({ n: { $lt: 50 } }, { $set: { late: true } });
  const afterTransaction = await pause(client);
  const primaryCopy = await pullThePlug(primary, join(directory, 'primary'), primaryCheckpoint, afterTransaction.at);
  await elected(set, primary);
  await primary.restart();
  await set.settled();
  await afterElection(client);
  const end = await pause(client);
  const oplog = await captureOplog(client);
  return {
    binary: set.binary,
    mongoVersion: set.mongoVersion,
    oplog,
    secondaryCopy,
    primaryCopy,
    paused: { beforeTransaction, afterTransaction, end },
  };
}

async function seed(client: MongoClient): Promise<void> {
  const shop = client.db('shop');
  await shop
    .collection<any>('orders')
    .insertMany(range(1_500, (n) => ({ _id: n, n, list: [1, 2, 3, { z: 1 }], sub: { q: 1 } })));
  await shop.createCollection('metrics', { timeseries: { timeField: 'at', metaField: 'where' } });
  await shop.createCollection('round', { capped: true, size: 8_192, max: 20 });
  await shop.createCollection('by_key', { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await shop.createCollection('names', { collation: { locale: 'de', strength: 2 } });
  await shop.collection('sessions').createIndex({ at: 1 }, { expireAfterSeconds: 3_600 });
}

async function crud(client: MongoClient): Promise<void> {
  const shop = client.db('shop');
  const orders = shop.collection<any>('orders');
  await orders.updateMany({}, { $inc: { n: 1 }, $set: { 'sub.r': 2, zed: 1, alpha: 2 }, $unset: { 'sub.q': 1 } });
  await orders.updateMany({ _id: { $lt: 100 } }, { $push: { list: 9 } as any });
  await orders.updateMany({ _id: { $lt: 50 } }, { $pop: { list: -1 } as any });
  await orders.updateMany({ _id: { $lt: 50 } }, [
    { $set: { zz: 1 } },
    { $set: { aa: 2 } },
    { $set: { 'sub.t': '$n' } },
  ]);
  await orders.updateMany({ _id: { $lt: 20 } }, [
    { $replaceWith: { _id: '$_id', zed: '$zed', n: '$n', list: '$list', sub: '$sub' } },
  ]);
  await orders.updateMany({ _id: { $gt: 1_480 } }, { $rename: { n: 'zed' } });
  await orders.deleteMany({ _id: { $gte: 1_300, $lt: 1_400 } });
  await orders.insertMany(range(50, (n) => ({ _id: 1_300 + n, again: true })));
  await shop
    .collection('metrics')
    .insertMany(range(40, (n) => ({ at: new Date(1.7e12 + n * 1_000), where: n % 3, value: n })));
  await shop.collection('sessions').insertMany(range(10, () => ({ at: new Date() })));
  for (const n of range(45, (k) => k)) await shop.collection<any>('round').insertOne({ _id: n, s: 'x'.repeat(n * 20) });
  await shop.collection<any>('by_key').insertMany([{ _id: 3 }, { _id: 1 }, { _id: 2 }]);
  await shop.collection<any>('names').insertMany([{ _id: 'A' }, { _id: 'b' }]);
  await shop.collection<any>('names').deleteOne({ _id: 'a' });
  await shop.collection<any>('names').insertOne({ _id: 'a', second: true });
  await shop.collection<any>('large').insertOne({ _id: 1, s: 'x'.repeat((16 << 20) - 60) });
}

async function ddl(client: MongoClient): Promise<void> {
  const shop = client.db('shop');
  await shop.createCollection('late_orders', { viewOn: 'orders', pipeline: [{ $match: { late: true } }] });
  await shop.collection<any>('orders').createIndex({ alpha: 1 }, { sparse: true, name: 'by_alpha' });
  await shop.command({ collMod: 'orders', index: { name: 'by_alpha', hidden: true } });
  await shop.command({ collMod: 'sessions', index: { name: 'at_1', expireAfterSeconds: 7_200 } });
  await shop.command({ collMod: 'by_key', validator: { _id: { $gte: 0 } }, validationLevel: 'moderate' });
  await shop.collection('names').createIndexes([{ key: { k: 1 } }, { key: { l: 1 }, collation: { locale: 'simple' } }]);
  await shop.collection('gone').insertOne({ n: 1 });
  await shop.collection('gone').drop();
  await shop.collection('old_name').insertMany([{ n: 1 }, { n: 2 }]);
  await shop.collection('old_name').rename('new_name');
  await shop.collection('to_replace').insertOne({ replaced: true });
  await shop.collection('new_name').createIndex({ n: 1 }, { unique: true });
  await shop.renameCollection('new_name', 'to_replace', { dropTarget: true });
  await client.db('short_lived').collection('a').insertOne({ n: 1 });
  await client.db('short_lived').dropDatabase();
  await shop.collection('becomes_capped').insertMany(range(30, (n) => ({ n })));
  await shop.command({ convertToCapped: 'becomes_capped', size: 4_096 });
}

/** 21 MB: three entries, none of them to be seen before the last. */
async function largeTransaction(client: MongoClient): Promise<void> {
  const shop = client.db('shop');
  await shop.createCollection('parts');
  await using session = client.startSession();
  await session.withTransaction(async () => {
    for (const n of range(3, (k) => k))
      await shop.collection('parts').insertOne({ n, s: 'y'.repeat(7 << 20) }, { session });
    await shop.collection<any>('orders').updateOne({ _id: 7 }, { $set: { inTransaction: true } }, { session });
  });
}

async function afterElection(client: MongoClient): Promise<void> {
  const shop = client.db('shop');
  await shop.collection<any>('orders').createIndex({ zed: 1, n: -1 });
  await shop.collection<any>('orders').dropIndex('by_alpha');
  await shop
    .collection('metrics')
    .insertMany(range(20, (n) => ({ at: new Date(1.7e12 + n * 60_000), where: 1, value: -n })));
  await using session = client.startSession();
  await session.withTransaction(async () => {
    await shop.collection<any>('orders').updateOne({ _id: 8 }, { $inc: { n: 100 } }, { session });
    await shop.collection<any>('accounts').insertOne({ _id: 'a', sum: 1 }, { session });
  });
  await shop.collection<any>('orders').deleteOne({ _id: 9 });
}

function range<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

/** Nobody writes but the server itself, whose noops change nothing. */
async function pause(client: MongoClient): Promise<Paused> {
  const snapshot = await snapshotOf(client);
  const [top] = await client
    .db('local')
    .collection('oplog.rs')
    .find({}, { sort: { $natural: -1 }, limit: 1 })
    .toArray();
  return { at: timeOf(top!['ts']), snapshot };
}

async function checkpoint(member: SetMember): Promise<ClusterTime> {
  await using client = await member.client();
  await client.db('admin').command({ fsync: 1 });
  return timeOf((await client.db('admin').command({ replSetGetStatus: 1 }))['lastStableRecoveryTimestamp']);
}

/** The journal is written at the latest after 100 ms, and at once for a write that asks for it. */
async function pullThePlug(member: SetMember, to: string, from: ClusterTime, holds: ClusterTime): Promise<FileCopy> {
  {
    await using client = await member.client();
    await until(`${member.name} to have ${holds.t},${holds.i} in its journal`, 60_000, async () => {
      const { optimes } = await client.db('admin').command({ replSetGetStatus: 1 });
      return compareTimes(timeOf(optimes.durableOpTime.ts), holds) >= 0 ? true : undefined;
    });
  }
  await member.kill9();
  copyFiles(member.dbPath, to);
  return { dbPath: to, checkpoint: from, top: holds };
}

async function elected(set: ReplicaSet, old: SetMember): Promise<void> {
  await until('a new primary', 60_000, async () => {
    const [candidate] = set.members.filter((member) => member !== old);
    await using client = await candidate!.client();
    await client
      .db('admin')
      .command({ replSetStepUp: 1 })
      .catch(() => {});
    return (await client.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined;
  });
}
