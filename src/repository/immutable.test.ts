import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../base/failure.ts';
import { faultyStorage } from '../../test/kit/faulty-storage.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { noise, openScene, openTestArchive } from '../../test/kit/archive-scene.ts';
import { objectRetained } from './failures.ts';
import { readImmutable } from './immutable.ts';
import { isKept, isKeptFromPut } from './object-names.ts';
import { openOplogArchive } from './oplog-archive.ts';
import { createRepository } from './repository.ts';
import { breakLease, listLeases } from './lease.ts';
import type { Storage } from './storage/storage.ts';

const day = 86_400_000;
const set = `sets/${'c'.repeat(24)}`;
const immutable = { days: 30, mode: null };

test('what a restore needs and nobody can make again is kept, and nothing else', () => {
  const kept = ['tidemark.json', 'tidemark-copy.json', 'immutable/00060', `archives/${'c'.repeat(24)}`, `${set}/packs/aa/aabb`, `${set}/points/p`, `${set}/proofs/p/1`, `${set}/chains/1`, `${set}/oplog/1/slices/4f00/a-b`, `${set}/oplog/1/barriers/a-b`];
  const not = [`${set}/index/1`, `${set}/leases/writer-1`, `${set}/leases/broken-writer-1`, `${set}/retired/1`, `${set}/distrusted/1`, `${set}/oplog/1/writer`, 'tidemark-trial/x', '.tmp/x'];
  assert.deepEqual([kept.filter((name) => !isKept(name)), not.filter(isKept)], [[], []]);
  assert.deepEqual(kept.filter((name) => !isKeptFromPut(name)), [`${set}/oplog/1/slices/4f00/a-b`]);
});

test('a repository is as immutable as the longer of its descriptors and its raises say, and damage of one copy hides nothing', async () => {
  const storage = memoryStorage(() => Date.now(), immutable);
  await createRepository(storage, 'a passphrase');
  const object = storage.objects.get('tidemark.json')!;
  storage.objects.set('tidemark.json', { ...object, bytes: Buffer.from('{"immutable":{"days":1,"mode":null}}') });
  assert.equal((await readImmutable(storage))?.days, 30);
  storage.objects.set('tidemark.json', { ...object, bytes: Buffer.from('damaged') });
  for (const name of ['immutable/00090', 'immutable/99999', 'immutable/-5', 'immutable/x']) storage.objects.set(name, object);
  assert.deepEqual(await readImmutable(storage), { days: 90, mode: null });
  assert.equal(await readImmutable(memoryStorage()), undefined);
});

test('every pack that a point needs is retained before the point is there: its own, and those it builds on', async (t) => {
  let nowMs = 1_800_000_000_000;
  const storage = memoryStorage(() => nowMs, immutable);
  const scene = await openScene(t);
  const order: string[] = [];
  const watched: Storage = {
    ...storage,
    put: async (name, bytes, how) => {
      order.push(`put ${name}`);
      return await storage.put(name, bytes, how);
    },
    retention: {
      ...storage.retention,
      retain: async (names) => {
        for (const name of names) order.push(`retain ${name}`);
        await storage.retention!.retain(names);
      },
    },
  };
  for (const name of ['tidemark.json', 'tidemark-copy.json']) await storage.put(name, Buffer.from('{}'), 'new');
  const archive = await openTestArchive(watched);
  const contents = { 'a.wt': noise(1 << 20, 1), 'b.wt': noise(1 << 20, 2) };
  await scene.store(archive, 'first', { 'a.wt': contents['a.wt'] });
  await scene.store(archive, 'more', contents);
  nowMs += 29 * day;
  order.length = 0;
  await scene.store(archive, 'second', contents);
  const seen = order.indexOf(`put ${set}/points/second`);
  const packs = [...storage.objects.keys()].filter((name) => name.includes('/packs/'));
  assert.ok(packs.length > 1 && seen > 0, `${packs.length} packs, the point at ${seen}`);
  for (const name of [...packs, `archives/${'c'.repeat(24)}`, 'tidemark.json']) assert.ok(order.indexOf(`retain ${name}`) >= 0 && order.indexOf(`retain ${name}`) < seen, name);
  for (const untilMs of await storage.retention!.until!(packs)) assert.ok(untilMs! >= nowMs + 30 * day);
});

test('a point whose writer was taken for dead after it was there stays, because all it needs was retained before', async (t) => {
  const clock = turnedClock();
  const storage = memoryStorage(clock.now, immutable);
  for (const name of ['tidemark.json', 'tidemark-copy.json']) await storage.put(name, Buffer.from('{}'), 'new');
  const scene = await openScene(t);
  const archive = await openTestArchive(storage);
  const breaking = faultyStorage(storage, () => 'pass');
  const late: Storage = {
    ...breaking,
    retention: storage.retention!,
    put: async (name, bytes, how) => {
      const stored = await storage.put(name, bytes, how);
      if (name.endsWith('/points/late')) {
        const { parts } = archive;
        for (const lease of await listLeases({ storage, names: parts.names, objectKey: parts.keys.object, clock })) await breakLease(storage, lease);
      }
      return stored;
    },
  };
  const contents = { 'a.wt': noise(1 << 20, 1) };
  await scene.store(await openTestArchive(late), 'late', contents);
  await scene.requireExact(archive, 'late', contents);
});

test('a slice that was left without its retention by a kill has it once the chain is opened again', async () => {
  const clock = turnedClock();
  const storage = memoryStorage(clock.now, immutable);
  const archive = await openTestArchive(storage);
  const oplog = openOplogArchive(archive.parts, clock);
  const chain = await oplog.startChain({ why: 'first', after: { t: 1, i: 0, term: 1 }, previous: null });
  const dying: Storage = { ...storage, retention: { retain: async (names) => (names.some((name) => name.includes('/slices/')) ? await Promise.reject(new Error('killed')) : undefined) } };
  const batch = { first: { t: 2, i: 1, term: 1 }, last: { t: 2, i: 1, term: 1 }, count: 1, bytes: Buffer.alloc(20) };
  const writer = await openOplogArchive({ ...archive.parts, storage: dying }, clock).openChainWriter(chain, 'node');
  writer.append(batch);
  await assert.rejects(writer.flush(), /killed/);
  const slice = [...storage.objects.keys()].find((name) => name.includes('/slices/'))!;
  assert.deepEqual(await storage.retention!.until!([slice]), [null]);
  await oplog.openChainWriter(chain, 'node');
  await assert.rejects(storage.delete(slice), (error) => isFailure(error, objectRetained));
});
