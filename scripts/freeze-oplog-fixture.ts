/**
 * Writes test/fixtures/oplog-VERSION.bson: one real entry or more of every kind that a replica set makes.
 * Run it once for each mongod version: node scripts/freeze-oplog-fixture.ts
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { until } from '../src/base/deadline.ts';
import { openReplicaSet, type ReplicaSet } from '../test/kit/replica-set.ts';

await using set = await openReplicaSet({ members: 1, args: ['--setParameter', 'ttlMonitorSleepSecs=1'] });
await using client = await set.client();
await documents(client);
await commands(client);
await transactions(client);
await specials(client);
await versionChange(client);
await set.stepDown();
const path = join(import.meta.dirname, '..', 'test', 'fixtures', `oplog-${set.mongoVersion}.bson`);
const entries = await allEntries(set);
writeFileSync(path, Buffer.concat(entries));
console.log(`${entries.length} entries in ${path}`);

async function documents(mongo: MongoClient): Promise<void> {
  const things = mongo.db('kinds').collection<{ _id: number | string; [field: string]: unknown }>('things');
  await things.insertOne({ _id: 1, text: 'one', tags: ['a', 'b'] });
  await things.insertMany([{ _id: 2 }, { _id: 3, nested: { deep: { value: 1 } } }]);
  await things.updateOne({ _id: 1 }, { $set: { text: 'changed' }, $push: { tags: 'c' } } as never);
  await things.replaceOne({ _id: 2 }, { text: 'replaced' });
  await things.findOneAndUpdate({ _id: 3 }, { $unset: { nested: 1 } });
  await things.deleteOne({ _id: 2 });
  await things.updateOne({ _id: 'ünï·cödé' }, { $set: { 'a.0': 1 } }, { upsert: true });
}

async function commands(mongo: MongoClient): Promise<void> {
  const db = mongo.db('kinds');
  const things = db.collection('things');
  await things.createIndex({ text: 1 });
  await things.createIndex({ other: 1 }, { name: 'other', expireAfterSeconds: 3600 });
  await db.command({ collMod: 'things', index: { name: 'other', expireAfterSeconds: 60 } });
  await db.command({ collMod: 'things', validator: { text: { $type: 'string' } }, validationAction: 'warn' });
  await things.dropIndex('text_1');
  await things.createIndex({ text: 1 }, { unique: true }).catch(() => {});
  await db.createCollection('empty');
  await db.collection('empty').createIndex({ a: 1 });
  await db.collection('empty').rename('renamed');
  await db.createCollection('target');
  await db.collection('renamed').rename('target', { dropTarget: true });
  await db.collection('target').drop();
  await db.createCollection('ring', { capped: true, size: 4096 });
  await db.collection('ring').insertMany([{ a: 1 }, { a: 2 }]);
  await db.command({ convertToCapped: 'things', size: 100_000 });
  await db.createCollection('clustered', { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await db.collection('clustered').insertOne({ _id: 5 as never });
  await db.createCollection('seen', { viewOn: 'things', pipeline: [] });
  await db.command({ applyOps: [{ op: 'i', ns: 'kinds.clustered', o: { _id: 6 } }, { op: 'd', ns: 'kinds.clustered', o: { _id: 5 } }] });
  await db.command({ applyOps: [{ op: 'c', ns: 'kinds.$cmd', o: { create: 'byApplyOps' } }] });
  await mongo.db('gone').collection('x').insertOne({});
  await mongo.db('gone').dropDatabase();
  await mongo.db('admin').command({ appendOplogNote: 1, data: { note: 'hello' } });
  await mongo.db('admin').command({ createUser: 'somebody', pwd: 'secret', roles: ['read'] });
}

async function transactions(mongo: MongoClient): Promise<void> {
  const rows = mongo.db('kinds').collection('rows');
  await mongo.db('kinds').createCollection('rows');
  const session = mongo.startSession();
  await session.withTransaction(async () => {
    await rows.insertMany([{ a: 1 }, { a: 2 }], { session });
    await rows.updateOne({ a: 1 }, { $set: { b: 1 } }, { session });
  });
  session.startTransaction();
  await rows.insertOne({ aborted: true }, { session });
  await session.abortTransaction();
  await session.endSession();
}

async function specials(mongo: MongoClient): Promise<void> {
  const db = mongo.db('kinds');
  await db.createCollection('weather', { timeseries: { timeField: 'at', metaField: 'where' } });
  await db.collection('weather').insertMany([{ at: new Date(), where: 'here', degrees: 20 }]);
  const shortLived = db.collection('short_lived');
  await shortLived.createIndex({ at: 1 }, { expireAfterSeconds: 0 });
  await shortLived.insertOne({ at: new Date(0) });
  await until('the TTL monitor', 60_000, async () => ((await shortLived.countDocuments()) === 0 ? true : undefined));
}

async function versionChange(mongo: MongoClient): Promise<void> {
  const answer = await mongo.db('admin').command({ getParameter: 1, featureCompatibilityVersion: 1 });
  const version = String((answer['featureCompatibilityVersion'] as { version: string }).version);
  const lower = { '6.0': '5.0', '7.0': '6.0', '8.0': '7.0' }[version];
  const more = version === '6.0' ? {} : { confirm: true };
  for (const to of [lower, version]) await mongo.db('admin').command({ setFeatureCompatibilityVersion: to, ...more });
}

async function allEntries(from: ReplicaSet): Promise<Uint8Array[]> {
  await using mongo = await from.client();
  return (await mongo.db('local').collection('oplog.rs').find({}, { raw: true }).toArray()) as unknown as Uint8Array[];
}
