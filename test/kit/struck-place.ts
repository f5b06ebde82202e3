/**
 * A real set whose archive is at a place outside its host, which is struck in the middle of the first backup: the point is
 * proved straight, and a second backup and a lay-down go through a gateway host over data channels.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import type { ArchiveAccess, MongoTarget, RepositoryLocation } from '../../src/contract/values.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import type { CuttingProxy } from './cutting-proxy.ts';
import { openReplicaSet } from './replica-set.ts';
import { openTwoHosts } from './two-hosts.ts';

export type StruckPlace = {
  /** Leads through `proxy`. */
  readonly location: RepositoryLocation;
  readonly secret: string;
  readonly proxy: CuttingProxy;
  /** Kills what serves the place, and starts it again. */
  strike(): Promise<void>;
};

export async function backUpToStruckPlace(t: TestContext, place: StruckPlace): Promise<void> {
  const { proxy } = place;
  const set = await openReplicaSet({ members: 1 });
  t.after(async () => await set.stop());
  const hosts = await openTwoHosts(t, () => {}, place);
  const client = await set.client();
  t.after(async () => await client.close());
  const [member] = set.members;
  const source = { host: member!.host, port: member!.port };
  const target: MongoTarget = { hosts: [source], replicaSet: set.name, credential: { kind: 'none' } };
  const { config } = await client.db('admin').command({ replSetGetConfig: 1 });
  const setId = String(config.settings.replicaSetId);
  const orders = client.db('shop').collection<{ _id: number; text: Buffer }>('orders');
  await orders.insertMany(Array.from({ length: 8_000 }, (_, k) => ({ _id: k, text: randomBytes(2_000) })));

  const archive = await hosts.archive(setId);
  const oplog = await hosts.start('node', 'oplog', { archive, target, setName: set.name, flushSeconds: 1 });
  await oplog.status('chain');
  const backUp = async (access: ArchiveAccess) => await hosts.start('node', 'backup', { archive: access, target, source, method: null, fullRead: false, dropClone: false, windowSeconds: 60, compression: 'balanced' });

  const before = proxy.bytes;
  const first = await backUp(archive);
  await until('bytes of the backup', 60_000, () => (proxy.bytes > before + 3_000_000 ? true : undefined), { everyMs: 5 });
  await place.strike();
  const { point } = await first.output;
  assert.ok(point.bytes.stored > 12_000_000, `${point.bytes.stored} bytes were stored`);

  await orders.updateMany({ _id: { $lt: 100 } }, { $set: { text: Buffer.from('changed') } });
  const wanted = await hashAll(client);
  const at = await timeNow(client);
  await orders.deleteMany({ _id: { $gte: 4_000 } });
  const last = await timeNow(client);
  await until('the archived oplog', 60_000, async () => {
    const { to } = await hosts.window(archive);
    return to !== null && compareTimes(to, last) >= 0 ? true : undefined;
  }, { everyMs: 300 });

  await t.test('straight: the point is proved in full at a moment behind it', async () => {
    const task = await hosts.start('node', 'prove', { archive, point: point.id, level: 'full', at, checks: [] });
    assert.deepEqual((await task.output).dbHash, wanted);
  });

  await t.test('through a gateway: a second backup sends what changed, and the whole set is laid down from the first', async () => {
    const again = await hosts.served(setId, 'append', async (access) => await (await backUp(access)).output);
    assert.ok(again.receivedBytes < point.bytes.stored, `${again.receivedBytes} bytes`);
    const directory = join(hosts.store, '..', 'restored');
    await hosts.served(setId, 'read', async (access) => {
      const task = await hosts.start('node', 'restore-set', { archive: access, point: point.id, at, setName: set.name, members: [{ directory, host: '127.0.0.1', port: 27_999 }], start: false, apply: true });
      assert.equal((await task.output).applied, true);
    });
    assert.ok(existsSync(join(directory, 'WiredTiger.wt')));
  });

  await oplog.stop();
  await oplog.output;
  const check = await hosts.start('repository', 'check', { archive, readDataPercent: 100, slice: null });
  assert.deepEqual((await check.output).damage, []);
}

async function timeNow(client: MongoClient): Promise<ClusterTime> {
  const { operationTime } = await client.db('admin').command({ ping: 1 });
  return { t: operationTime.getHighBitsUnsigned(), i: operationTime.getLowBitsUnsigned() };
}
