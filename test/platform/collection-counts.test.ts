import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countCollections, listCollections } from '../../src/agent/collection-counts.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openReplicaSet } from '../kit/replica-set.ts';

test('a proof counts documents themselves, of clustered collections too, and says which it had no time for', async () => {
  await using set = await openReplicaSet({ members: 1 });
  await using client = await set.client();
  const shop = client.db('shop');
  await shop.collection('orders').insertMany(Array.from({ length: 500 }, (_, n) => ({ n })));
  await shop.createCollection('clustered', { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await shop.collection('clustered').insertMany(Array.from({ length: 20 }, (_, n) => ({ n })));
  await shop.createCollection('measured', { timeseries: { timeField: 'at' } });
  await shop.collection('measured').insertOne({ at: new Date(0), n: 1 });
  // What the metadata says is set wrong on purpose: a proof must not repeat it.
  const listed = (await listCollections(client)).map((one) => ({ ...one, documents: 7 }));
  const count = async (ms: number | null) => await countCollections(client, listed, ms, systemClock, new AbortController().signal);
  const all = await count(60_000);
  assert.deepEqual([...all.values()].filter(({ counted }) => !counted), []);
  assert.deepEqual(all.get('shop.orders'), { documents: 500, counted: true });
  assert.deepEqual(all.get('shop.clustered'), { documents: 20, counted: true });
  assert.deepEqual(all.get('shop.system.buckets.measured'), { documents: 1, counted: true });
  assert.deepEqual(await count(null), all);
  assert.deepEqual((await count(0)).get('shop.orders'), { documents: 7, counted: false });
});
