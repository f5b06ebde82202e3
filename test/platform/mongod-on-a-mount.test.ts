/** A real mongod on a mounted data directory: it opens, answers, writes, stops, and finds its writes again. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { startMongod, type Mongod } from '../../src/mongo/mongod.ts';
import type { Mount } from '../../src/mount/open-mount.ts';
import { findMongod } from '../kit/mongod.ts';
import { noMounts, openMountBench, type MountBench } from '../kit/mounts.ts';

const documents = 20_000;
const quick = ['--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false', '--setParameter', 'ttlMonitorEnabled=false'];

let bench: MountBench;
let binary: string;

async function start(dbPath: string): Promise<Mongod> {
  const logPath = join(bench.root, 'mongod.log');
  return await startMongod({ binary, dbPath, socketDir: join(bench.root, 's'), logPath, args: quick });
}

async function withMongod(mount: Pick<Mount, 'directory'>, use: (client: MongoClient) => Promise<void>): Promise<void> {
  await using mongod = await start(mount.directory);
  await using client = await mongod.client();
  await use(client);
  assert.equal((await mongod.stop()).code, 0, 'mongod ends cleanly');
}

before(async () => {
  if (noMounts !== false) return;
  bench = openMountBench();
  ({ path: binary } = await findMongod());
  const dbPath = join(bench.root, 'source');
  mkdirSync(dbPath);
  await withMongod({ directory: dbPath }, async (client) => {
    const items = client.db('shop').collection<{ _id: number; group: number; text: string }>('items');
    for (let from = 0; from < documents; from += 5000) {
      await items.insertMany(Array.from({ length: 5000 }, (_, k) => ({ _id: from + k, group: (from + k) % 97, text: `${from + k} `.repeat(30) })));
    }
    await items.createIndex({ group: 1 });
  });
  rmSync(join(dbPath, 'mongod.lock'));
  rmSync(bench.point, { recursive: true });
  renameSync(dbPath, bench.point);
});

after(async () => {
  if (noMounts === false) await bench[Symbol.asyncDispose]();
});

test('a mongod on a mount answers queries, takes writes, validates, stops, and finds all of it again after the mount was closed', { skip: noMounts, timeout: 120_000 }, async () => {
  const overlayDirectory = join(bench.root, 'kept');
  const hash = async (client: MongoClient): Promise<unknown> => (await client.db('shop').command({ dbHash: 1 }))['collections'];
  let hashed: unknown;
  const first = await bench.open({ overlayDirectory });
  await withMongod(first, async (client) => {
    const items = client.db('shop').collection<{ _id: number; group: number; text?: string }>('items');
    assert.equal(await items.countDocuments({ group: 5 }), Math.ceil((documents - 5) / 97));
    await items.insertMany(Array.from({ length: 5000 }, (_, k) => ({ _id: documents + k, group: 1000 })));
    await items.updateMany({ group: 7 }, { $set: { text: 'changed' } });
    await items.deleteMany({ group: 8 });
    await client.db('shop').collection('other').insertOne({ new: true });
    for (const name of ['items', 'other']) {
      const { valid, errors } = await client.db('shop').command({ validate: name, full: true });
      assert.equal(valid, true, String(errors));
    }
    hashed = await hash(client);
  });
  assert.ok((await first.overlayBytes()) > 0);
  await first.close();

  const again = await bench.open({ overlayDirectory });
  await withMongod(again, async (client) => {
    assert.deepEqual(await hash(client), hashed);
    assert.equal(await client.db('shop').collection('items').countDocuments({ group: 1000 }), 5000);
  });
  await again.close();

  const untouched = await bench.open();
  await withMongod(untouched, async (client) => {
    assert.equal(await client.db('shop').collection('items').countDocuments(), documents);
    assert.equal(await client.db('shop').collection('items').countDocuments({ text: 'changed' }), 0);
  });
  await untouched.close();
  assert.deepEqual(readdirSync(bench.work), []);
});

test('a mongod killed on a mount recovers from its journal on the same overlay', { skip: noMounts, timeout: 120_000 }, async () => {
  const overlayDirectory = join(bench.root, 'kept-killed');
  const first = await bench.open({ overlayDirectory });
  const mongod = await start(first.directory);
  {
    await using client = await mongod.client();
    const marks = client.db('shop').collection<{ _id: number }>('marks');
    for (let k = 0; k < 50; k++) await marks.insertOne({ _id: k }, { writeConcern: { w: 1, journal: true } });
  }
  await mongod.kill();
  await first.close();
  const again = await bench.open({ overlayDirectory });
  await withMongod(again, async (client) => assert.equal(await client.db('shop').collection('marks').countDocuments(), 50));
  await again.close();
});
