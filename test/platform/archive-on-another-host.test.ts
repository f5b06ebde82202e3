/** Every task of a MongoDB host with its archive on another host: over data channels, with real transports and a real replica set. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { MongoClient, type ClientSession } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import type { MongoTarget } from '../../src/contract/values.ts';
import { openReplicaSet } from '../kit/replica-set.ts';
import { openTwoHosts } from '../kit/two-hosts.ts';

const text = 'the quick brown fox jumps over the lazy dog '.repeat(20);

async function writtenAt(client: MongoClient, write: (options: { session: ClientSession; writeConcern: { w: 'majority' } }) => Promise<unknown>): Promise<ClusterTime> {
  const session = client.startSession();
  try {
    await write({ session, writeConcern: { w: 'majority' } });
    const { operationTime } = session;
    return { t: operationTime!.getHighBitsUnsigned(), i: operationTime!.getLowBitsUnsigned() };
  } finally {
    await session.endSession();
  }
}

test('a set is archived, backed up, proved, published, searched and restored over data channels as on one host', { timeout: 15 * 60_000 }, async (t: TestContext) => {
  const set = await openReplicaSet({ members: 1 });
  t.after(async () => await set.stop());
  const client = await set.client();
  t.after(async () => await client.close());
  const hosts = await openTwoHosts(t);
  const [member] = set.members;
  const source = { host: member!.host, port: member!.port };
  const target: MongoTarget = { hosts: [source], replicaSet: set.name, credential: { kind: 'none' } };
  const { config } = await client.db('admin').command({ replSetGetConfig: 1 });
  const setId = String(config.settings.replicaSetId);
  const orders = client.db('shop').collection<{ _id: number; n: number; text: string }>('orders');
  await orders.insertMany(Array.from({ length: 20_000 }, (_, k) => ({ _id: k, n: k, text: `${text} ${k}` })));

  await hosts.served(setId, 'append', async (forOplog) => {
    const oplog = await hosts.start('node', 'oplog', { archive: forOplog, target, setName: set.name, flushSeconds: 1 });
    let through: ClusterTime = { t: 0, i: 0 };
    const archived = async (at: ClusterTime): Promise<void> => {
      const local = await hosts.archive(setId);
      through = await until('the archived oplog', 120_000, async () => {
        const window = await hosts.window(local);
        return window.to !== null && compareTimes(window.to, at) >= 0 ? window.to : undefined;
      }, { everyMs: 300 });
    };
    await oplog.status('chain');

    const backup = await hosts.served(setId, 'append', async (archive) => {
      const task = await hosts.start('node', 'backup', { archive, target, source, method: null, fullRead: false, dropClone: false, windowSeconds: 60, compression: 'balanced' });
      return await task.output;
    });
    const { point } = backup.value;
    assert.ok(backup.receivedBytes >= point.bytes.stored, `${backup.receivedBytes} bytes went over the channels, ${point.bytes.stored} were stored`);
    const before = await writtenAt(client, async (options) => await orders.updateMany({ n: { $lt: 100 } }, { $set: { text: 'changed' } }, options));
    const wanted = await hashAll(client);
    const after = await writtenAt(client, async (options) => await orders.deleteMany({ n: { $gte: 10_000 } }, options));
    await archived(after);
    assert.ok(compareTimes(through, after) >= 0);

    await t.test('a second backup sends only what changed', async () => {
      const again = await hosts.served(setId, 'append', async (archive) => {
        const task = await hosts.start('node', 'backup', { archive, target, source, method: null, fullRead: false, dropClone: false, windowSeconds: 60, compression: 'balanced' });
        return await task.output;
      });
      assert.ok(again.receivedBytes < backup.receivedBytes, `${again.receivedBytes} bytes after ${backup.receivedBytes}`);
    });

    await t.test('a point is proved in full, over a mount that reads from the other host, at exactly the moment', async () => {
      const { value } = await hosts.served(setId, 'read', async (archive) => {
        const task = await hosts.start('node', 'prove', { archive, point: point.id, level: 'full', at: before, checks: [] });
        return await task.output;
      });
      assert.deepEqual(value.dbHash, wanted);
    });

    await t.test('a moment is published and read', async () => {
      await hosts.served(setId, 'read', async (archive) => {
        const task = await hosts.start('node', 'publish', { archive, point: point.id, at: before, port: null, expiresMs: 600_000, withUsers: false });
        const { uri } = (await task.status('ready')) as { uri: string };
        const visitor = await MongoClient.connect(uri);
        assert.equal(await visitor.db('shop').collection('orders').countDocuments({ text: 'changed' }), 100);
        await visitor.close();
        await task.stop();
        assert.deepEqual(await task.output, { why: 'stopped' });
      });
    });

    await t.test('operations are found in the archived oplog', async () => {
      const { value } = await hosts.served(setId, 'read', async (archive) => {
        const task = await hosts.start('node', 'oplog-find', { archive, ns: 'shop.orders', op: 'delete', match: null, since: before, until: after, limit: 10_000 });
        return await task.output;
      });
      assert.equal(value.matches.length, 10_000);
    });

    await t.test('a collection comes back into the live set', async () => {
      await hosts.served(setId, 'read', async (archive) => {
        const namespaces = [{ from: 'shop.orders', to: 'shop.back' }];
        const task = await hosts.start('node', 'restore-collections', { archive, point: point.id, at: before, namespaces, into: target, existing: 'refuse', apply: true });
        await task.output;
      });
      const { collections } = await client.db('shop').command({ dbHash: 1, collections: ['back'] });
      assert.equal(await client.db('shop').collection('back').countDocuments(), 20_000);
      assert.ok(collections.back);
    });

    await t.test('a whole set is laid down', async () => {
      const directory = join(hosts.store, '..', 'restored');
      await hosts.served(setId, 'read', async (archive) => {
        const task = await hosts.start('node', 'restore-set', { archive, point: point.id, at: before, setName: set.name, members: [{ directory, host: '127.0.0.1', port: 27_999 }], start: false, apply: true });
        assert.equal((await task.output).applied, true);
      });
      assert.ok(existsSync(join(directory, 'WiredTiger.wt')));
    });

    await oplog.stop();
    assert.ok((await oplog.output).through !== null);
  });

  const leases = join(hosts.store, 'sets', setId, 'leases');
  assert.deepEqual(existsSync(leases) ? readdirSync(leases) : [], []);
  const check = await hosts.start('repository', 'check', { archive: await hosts.archive(setId), readDataPercent: 100, slice: null });
  assert.deepEqual((await check.output).damage, []);
});
