/** A real mongod on a mounted data directory: it opens, answers, writes, stops, is killed, and finds its writes again. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
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

async function start(mount: Pick<Mount, 'directory' | 'wrap'>): Promise<Mongod> {
  const logPath = join(bench.root, 'mongod.log');
  return await startMongod({ binary, dbPath: mount.directory, socketDir: join(bench.root, 's'), logPath, args: quick, wrap: mount.wrap });
}

async function withMongod(mount: Pick<Mount, 'directory' | 'wrap'>, use: (client: MongoClient) => Promise<void>): Promise<void> {
  await using mongod = await start(mount);
  {
    await using client = await mongod.client();
    await use(client);
  }
  assert.equal((await mongod.stop()).code, 0, 'mongod ends cleanly');
}

function digest(directory: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    hash.update(name);
    if (/\.|WiredTiger$|Log/.test(name)) hash.update(readFileSync(join(directory, name)));
  }
  return hash.digest('hex');
}

before(async () => {
  if (noMounts !== false) return;
  bench = openMountBench();
  ({ path: binary } = await findMongod());
  const dbPath = join(bench.root, 'source');
  mkdirSync(dbPath);
  await withMongod({ directory: dbPath, wrap: [] }, async (client) => {
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

test('a mongod on a mount answers, takes writes, validates, stops, is killed, and finds all of it again on the same overlay', { skip: noMounts, timeout: 240_000 }, async () => {
  const overlayDirectory = join(bench.root, 'kept');
  const untouched = digest(bench.point);
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

  const second = await bench.open({ overlayDirectory });
  const mongod = await start(second);
  {
    await using client = await mongod.client();
    assert.deepEqual(await hash(client), hashed);
    const marks = client.db('marks').collection<{ _id: number }>('marks');
    for (let k = 0; k < 20; k++) await marks.insertOne({ _id: k }, { writeConcern: { w: 1, journal: true } });
  }
  await mongod.kill();
  await second.close();

  const third = await bench.open({ overlayDirectory });
  await withMongod(third, async (client) => {
    assert.equal(await client.db('marks').collection('marks').countDocuments(), 20);
    assert.deepEqual(await hash(client), hashed);
  });
  await third.close();
  assert.equal(digest(bench.point), untouched, 'the point itself never changes');
  assert.deepEqual(readdirSync(bench.work), []);
});

test('a mongod whose mount server is killed ends at once, and the mount can be closed', { skip: noMounts, timeout: 240_000 }, async () => {
  const mount = await bench.open();
  const mongod = await start(mount);
  process.kill(mount.pid!, 'SIGKILL');
  await assert.rejects(mount.broken);
  await using client = await mongod.client();
  const insert = client.db('shop').collection('items').insertMany([{ group: -1 }], { writeConcern: { w: 1, journal: true } });
  await assert.rejects(insert);
  const { code, signal } = await mongod.exited;
  assert.ok(code !== 0, `mongod must not end as if all were well (${code}, ${signal})`);
  await mount.close();
  assert.deepEqual(readdirSync(bench.work), []);
});

test('a mongod runs in the user namespace of its mount, and answers outside of it', { skip: noMounts, timeout: 240_000 }, async (t) => {
  const mount = await bench.open({ prefer: 'fuse-in-user-namespace' }).catch((error: Error) => error);
  if (mount instanceof Error) return t.skip(mount.message);
  assert.deepEqual(readdirSync(mount.directory), [], 'nobody outside sees the point');
  await withMongod(mount, async (client) => assert.equal(await client.db('shop').collection('items').countDocuments({ group: 5 }), Math.ceil((documents - 5) / 97)));
  await mount.close();
  assert.deepEqual(readdirSync(bench.work), []);
});
