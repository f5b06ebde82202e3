import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Binary, BSON, Decimal128, Double, Int32, Long, MongoClient, ObjectId, Timestamp, type Document } from 'mongodb';
import { copyCollection, leftBehind, planCopy, shapeOf, type Existing } from '../../src/mongo/collection-copy.ts';
import { insertRaw } from '../../src/mongo/raw-insert.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

let set: ReplicaSet;
let client: MongoClient;

before(async () => {
  set = await openReplicaSet({ members: 1 });
  client = await set.client();
});
after(async () => {
  await client?.close();
  await set?.stop();
});

async function copy(from: string, to: string, existing: Existing = 'refuse') {
  const plan = await planCopy(client, client, from, to, existing, 'now');
  return await copyCollection(client, client, plan, { onBytes: () => {}, signal: new AbortController().signal, asideSuffix: 'aside', nowMs: 1 });
}

async function shapeByName(ns: string) {
  const shape = (await shapeOf(client, ns))!;
  return { ...shape, indexes: shape.indexes.toSorted((a, b) => (a['name'] < b['name'] ? -1 : 1)) };
}

async function rawDocuments(db: string, name: string): Promise<string[]> {
  const documents = await client.db(db).collection(name).find<Buffer>({}, { raw: true, sort: { $natural: 1 } }).toArray();
  return documents.map((document) => Buffer.from(document).toString('hex'));
}

/** {"10": 1, "2": 1, "10": 2}: fields that a JavaScript object would sort and merge. */
function awkwardDocument(): Buffer {
  const body = Buffer.from('07' + '5f696400' + '0123456789abcdef01234567' + '10' + '313000' + '01000000' + '10' + '3200' + '01000000' + '10' + '313000' + '02000000' + '00', 'hex');
  const size = Buffer.alloc(4);
  size.writeInt32LE(body.length + 4);
  return Buffer.concat([size, body]);
}

test('every document arrives byte for byte, with field orders and types that JavaScript cannot hold', async () => {
  const db = client.db('exact');
  const odd = { _id: new ObjectId(), a: new Int32(1), b: new Double(1), c: Long.fromString('9007199254740993'), d: Decimal128.fromString('1.10'), e: new Binary(Buffer.from('x'), 128), f: new Timestamp({ t: 5, i: 6 }), g: /a/i, h: null };
  await insertRaw(db, 'source', Buffer.concat([awkwardDocument(), BSON.serialize(odd)]));
  await copy('exact.source', 'exact.target');
  const [source, target] = [await rawDocuments('exact', 'source'), await rawDocuments('exact', 'target')];
  assert.deepEqual(target, source);
  assert.equal(source[0], awkwardDocument().toString('hex'));
});

test('options and indexes arrive whole: collation, validator, capped, clustered, TTL, partial, unique, hidden', async () => {
  const db = client.db('whole');
  await db.createCollection('rich', { collation: { locale: 'de', strength: 2 }, validator: { n: { $gte: 0 } }, validationAction: 'error', validationLevel: 'moderate' });
  await db.collection('rich').insertMany(Array.from({ length: 300 }, (_, n) => ({ n, text: `t${n}`, at: new Date() })));
  await db.command({ createIndexes: 'rich', indexes: [
    { key: { n: 1 }, name: 'n_unique', unique: true },
    { key: { text: 'text' }, name: 'words', default_language: 'none', collation: { locale: 'simple' } },
    { key: { at: 1 }, name: 'gone', expireAfterSeconds: 3_000_000 },
    { key: { n: -1 }, name: 'part', partialFilterExpression: { n: { $gt: 100 } }, hidden: true },
  ] });
  await db.createCollection('round', { capped: true, size: 65_536, max: 50 });
  await db.collection<Document>('round').insertMany(Array.from({ length: 80 }, (_, n) => ({ n })));
  await db.createCollection('by_key', { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await db.collection<Document>('by_key').insertMany([{ _id: 3 as never }, { _id: 1 as never }]);
  for (const name of ['rich', 'round', 'by_key']) {
    await copy(`whole.${name}`, `whole.${name}_copy`);
    const [source, target] = [await shapeByName(`whole.${name}`), await shapeByName(`whole.${name}_copy`)];
    assert.deepEqual(target, { ...source, bytes: target.bytes });
    assert.deepEqual(await rawDocuments('whole', `${name}_copy`), await rawDocuments('whole', name));
  }
});

test('a view is made anew and a time series arrives bucket by bucket', async () => {
  const db = client.db('kinds');
  await db.createCollection('metrics', { timeseries: { timeField: 'at', metaField: 'where', granularity: 'minutes' } });
  await db.collection('metrics').insertMany(Array.from({ length: 500 }, (_, n) => ({ at: new Date(1.7e12 + n * 1000), where: n % 3, value: n })));
  await db.collection('plain').insertMany([{ n: 1 }, { n: 2 }]);
  await db.createCollection('seen', { viewOn: 'plain', pipeline: [{ $match: { n: 2 } }] });
  await copy('kinds.metrics', 'kinds.metrics_copy');
  await copy('kinds.seen', 'kinds.seen_copy');
  assert.equal(await db.collection('metrics_copy').countDocuments(), 500);
  assert.deepEqual(await rawDocuments('kinds', 'system.buckets.metrics_copy'), await rawDocuments('kinds', 'system.buckets.metrics'));
  assert.deepEqual((await db.collection('seen_copy').find().toArray()).map((document) => document['n']), [2]);
});

test('a name that is taken is refused, stands aside or is replaced, as chosen', async () => {
  const db = client.db('names');
  await db.collection('old').insertOne({ version: 'old' });
  await db.collection('live').insertOne({ version: 'live' });
  await assert.rejects(copy('names.old', 'names.live'), { code: 'mongo.collection-exists' });
  const { aside } = await copy('names.old', 'names.live', 'aside');
  assert.equal(aside, 'names.live.aside');
  assert.equal((await db.collection('live').findOne())?.['version'], 'old');
  assert.equal((await db.collection('live.aside').findOne())?.['version'], 'live');
  await db.collection('live').updateOne({}, { $set: { version: 'newer' } });
  await copy('names.old', 'names.live', 'replace');
  assert.equal((await db.collection('live').findOne())?.['version'], 'old');
});

test('a copy that is stopped or fails leaves the live collection as it was and no temporary one', async () => {
  const db = client.db('stop');
  await db.collection('source').insertMany(Array.from({ length: 12_000 }, (_, n) => ({ n })));
  await db.collection('live').insertOne({ version: 'live' });
  const plan = await planCopy(client, client, 'stop.source', 'stop.live', 'replace', 'now');
  const ends = new AbortController();
  await assert.rejects(copyCollection(client, client, plan, { onBytes: () => ends.abort(new Error('stopped by the test')), signal: ends.signal, asideSuffix: 'x', nowMs: 1 }), /stopped by the test/);
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).sort();
  assert.deepEqual(names, ['live', 'source']);
  assert.equal((await db.collection('live').findOne())?.['version'], 'live');
});

test('collections of the server itself, missing ones and time series that would stand aside are refused by name', async () => {
  await assert.rejects(planCopy(client, client, 'admin.system.users', 'x.y', 'refuse', 'now'), { code: 'mongo.namespace-reserved' });
  await assert.rejects(planCopy(client, client, 'stop.nothing', 'x.y', 'refuse', '7,1'), (error: Error) => error.message.includes('stop.source') && error.message.includes('7,1'));
  await assert.rejects(planCopy(client, client, 'kinds.metrics', 'kinds.metrics_copy', 'aside', 'now'), { code: 'mongo.cannot-stand-aside' });
});

test('documents of the past that are due to expire all arrive, and expire only afterwards', async () => {
  const db = client.db('expiry');
  await db.createCollection('metrics', { timeseries: { timeField: 'at', metaField: 'where' } });
  await db.collection('metrics').insertMany(Array.from({ length: 50 }, (_, n) => ({ at: new Date(1e12 + n), where: 1, n })));
  await db.command({ collMod: 'metrics', expireAfterSeconds: 60 });
  await copy('expiry.metrics', 'expiry.metrics_copy');
  const [{ options }] = (await db.listCollections({ name: 'metrics_copy' }).toArray()) as unknown as [{ options: Document }];
  assert.equal(options['expireAfterSeconds'], 60);
});

test('a name that somebody takes meanwhile is theirs: the copy fails and drops nothing but its own', async () => {
  const db = client.db('taken');
  await db.createCollection('metrics', { timeseries: { timeField: 'at' } });
  const plan = await planCopy(client, client, 'taken.metrics', 'taken.target', 'refuse', 'now');
  await db.collection('target').insertOne({ version: 'theirs' });
  await assert.rejects(copyCollection(client, client, plan, { onBytes: () => {}, signal: new AbortController().signal, asideSuffix: 'x', nowMs: 1 }));
  assert.equal((await db.collection('target').findOne())?.['version'], 'theirs');
});

test('a live collection that a view is to replace comes back when the view cannot be made', async () => {
  const db = client.db('swap');
  await db.collection('base').insertOne({ n: 1 });
  await db.createCollection('seen', { viewOn: 'base', pipeline: [] });
  await db.collection('live').insertOne({ version: 'live' });
  const plan = await planCopy(client, client, 'swap.seen', 'swap.live', 'replace', 'now');
  const broken = { ...plan, shape: { ...plan.shape, options: { viewOn: 'base', pipeline: [{ $noSuchStage: {} }] } } };
  await assert.rejects(copyCollection(client, client, broken, { onBytes: () => {}, signal: new AbortController().signal, asideSuffix: 'x', nowMs: 1 }));
  assert.equal((await db.collection('live').findOne())?.['version'], 'live');
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).sort();
  assert.deepEqual(names, ['base', 'live', 'seen', 'system.views']);
});

test('a replace that is cut off leaves the live collection under a name that says what it is, and the failure and the next restore name it', async () => {
  const db = client.db('killed');
  await db.createCollection('metrics', { timeseries: { timeField: 'at' } });
  await db.collection('metrics').insertMany(Array.from({ length: 2_000 }, (_, n) => ({ at: new Date(1.7e12 + n * 1e7), n })));
  await db.collection('live').insertOne({ version: 'live' });
  const target = await set.client();
  const plan = await planCopy(client, target, 'killed.metrics', 'killed.live', 'replace', 'now');
  const cut = (): void => void target.close();
  await assert.rejects(copyCollection(client, target, plan, { onBytes: cut, signal: new AbortController().signal, asideSuffix: 'x', nowMs: 7 }), { code: 'mongo.live-moved-away' });
  const [left, ...others] = await leftBehind(client, 'killed');
  assert.deepEqual(others, []);
  assert.match(left!.ns, /^killed\.tidemark\.kept\.7-[^.]+\.live$/);
  assert.deepEqual([left!.own, left!.sinceMs], ['kept', 7]);
  assert.equal((await db.collection(left!.ns.slice('killed.'.length)).findOne())?.['version'], 'live');
});

test('a replace that ends well leaves nothing of the old collection', async () => {
  const db = client.db('done');
  await db.createCollection('metrics', { timeseries: { timeField: 'at' } });
  await db.collection('metrics').insertOne({ at: new Date(1.7e12) });
  await db.collection('live').insertOne({ version: 'live' });
  await copy('done.metrics', 'done.live', 'replace');
  assert.deepEqual(await leftBehind(client, 'done'), []);
  assert.equal(await db.collection('live').countDocuments(), 1);
});
