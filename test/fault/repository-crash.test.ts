import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Archive } from '../../src/repository/archive.ts';
import { storageFull } from '../../src/repository/failures.ts';
import { isFailure } from '../../src/base/failure.ts';
import { noise, openScene, openTestArchive } from '../kit/archive-scene.ts';
import { Died, faultyStorage, type Change, type Fault } from '../kit/faulty-storage.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';

const KiB = 1 << 10;
const first = { a: noise(900 * KiB, 1), b: noise(300 * KiB, 2) };
const second = { a: Buffer.concat([noise(100 * KiB, 3), first.a.subarray(100 * KiB)]), b: Buffer.concat([first.b, noise(1100 * KiB, 4)]), c: noise(10, 5) };

/** Runs `work` with a fault at each change it makes in turn, on a fresh copy of `before`. */
async function atEveryChange(before: MemoryStorage, fault: (change: Change) => Fault, work: (archive: Archive) => Promise<void>, look: (storage: MemoryStorage, change: Change) => Promise<void>): Promise<number> {
  for (let number = 1; ; number++) {
    const storage = before.copy();
    let struck: Change | undefined;
    const faulty = faultyStorage(storage, (change) => {
      if (change.number !== number) return 'pass';
      struck = change;
      return fault(change);
    });
    let error: unknown;
    await openTestArchive(faulty).then(work).catch((thrown: unknown) => (error = thrown));
    if (struck === undefined) {
      assert.equal(error, undefined, 'without a fault the work succeeds');
      return number - 1;
    }
    await look(storage, struck);
  }
}

for (const fault of ['die-before', 'die-after'] as const) {
  test(`a backup killed at any write (${fault}) hurts no earlier point, and the next one takes up what was stored`, async (t) => {
    const scene = await openScene(t);
    const before = memoryStorage();
    await scene.store(await openTestArchive(before), 'p1', first);
    let packsSeen = 0;
    const count = await atEveryChange(
      before,
      () => fault,
      async (archive) => void (await scene.store(archive, 'p2', second)),
      async (storage, change) => {
        const where = `${change.kind} ${change.name}`;
        const archive = await openTestArchive(storage);
        const there = (await archive.points()).map(({ id }) => id);
        assert.ok(there.join() === 'p1' || there.join() === 'p1,p2', where);
        await scene.requireExact(archive, 'p1', first);
        if (there.includes('p2')) await scene.requireExact(archive, 'p2', second);
        const packsBefore = [...storage.objects.keys()].filter((name) => name.includes('/packs/')).length - [...before.objects.keys()].filter((name) => name.includes('/packs/')).length;
        packsSeen = Math.max(packsSeen, packsBefore);
        const again = await scene.store(archive, 'p3', second);
        if (packsBefore > 0) assert.ok(again.counts.transferred < 1200 * KiB, `${where}: ${again.counts.transferred} bytes were stored again`);
        await scene.requireExact(archive, 'p3', second);
        assert.deepEqual((await archive.check({ readDataPercent: 100, workers: 0 })).damage, [], where);
      },
    );
    assert.ok(count > 10, `${count} changes were tried`);
    assert.ok(packsSeen > 0);
  });
}

test('a disk that is full at any write fails the backup with its own code, hurts nothing, and the backup succeeds once there is room', async (t) => {
  const scene = await openScene(t);
  const before = memoryStorage();
  await scene.store(await openTestArchive(before), 'p1', first);
  let refused = 0;
  await atEveryChange(
    before,
    (change) => storageFull({ place: 'memory', object: change.name }),
    async (archive) => {
      await scene.store(archive, 'p2', second).catch((error: unknown) => {
        assert.ok(isFailure(error, storageFull), String(error));
        refused += 1;
      });
    },
    async (storage, change) => {
      const archive = await openTestArchive(storage);
      await scene.requireExact(archive, 'p1', first);
      if ((await archive.points()).length === 1) await scene.store(archive, 'p2', second);
      await scene.requireExact(archive, 'p2', second);
      assert.deepEqual((await archive.check({ readDataPercent: 100, workers: 0 })).damage, [], change.name);
    },
  );
  assert.ok(refused > 8, `${refused} backups were refused`);
});

for (const fault of ['die-before', 'die-after'] as const) {
  test(`a sweep killed at any write (${fault}) leaves every point readable, and the next sweep gives the space back`, async (t) => {
    const scene = await openScene(t);
    const before = memoryStorage(() => 1);
    const made = await openTestArchive(before);
    await scene.store(made, 'p1', { ...first, gone: noise(500 * KiB, 6) });
    await scene.store(made, 'p2', second);
    const full = [...before.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    await made.deletePoint('p1');
    const count = await atEveryChange(
      before,
      () => fault,
      async (archive) => void (await archive.sweep()),
      async (storage, change) => {
        const where = `${change.kind} ${change.name}`;
        // The lease of the killed one would be waited for; on the same machine its process would be known to be dead.
        for (const name of [...storage.objects.keys()]) if (name.includes('/leases/')) storage.objects.delete(name);
        const archive = await openTestArchive(storage);
        await scene.requireExact(archive, 'p2', second);
        await archive.sweep();
        await scene.requireExact(archive, 'p2', second);
        assert.deepEqual((await archive.check({ readDataPercent: 100, workers: 0 })).damage, [], where);
        const left = [...storage.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
        assert.ok(left < full - 500 * KiB, `${where}: ${full} bytes before, ${left} after`);
      },
    );
    assert.ok(count > 8, `${count} changes were tried`);
  });
}

test('an oplog writer killed at any write loses nothing that was flushed, and another one goes on', async () => {
  const entry = Buffer.from('not BSON, only bytes');
  const at = (t: number) => ({ t, i: 1, term: 1 });
  const batch = (t: number) => ({ first: at(t), last: at(t), count: 1, bytes: entry });
  for (const fault of ['die-before', 'die-after'] as const) {
    const before = memoryStorage();
    const chain = await (await openTestArchive(before)).oplog.startChain({ why: 'first', after: at(100), previous: null });
    let flushed = 100;
    await atEveryChange(
      before,
      () => fault,
      async (archive) => {
        flushed = 100;
        const writer = await archive.oplog.openChainWriter(chain, 'n1');
        for (const t of [110, 120, 130]) {
          writer.append(batch(t));
          await writer.flush();
          flushed = t;
        }
        await writer.close();
      },
      async (storage) => {
        const { oplog } = await openTestArchive(storage);
        const writer = await oplog.openChainWriter(chain, 'n1');
        assert.ok(writer.through.t >= flushed);
        const next = writer.through.t + 5;
        writer.append(batch(next));
        await writer.flush();
        let count = 0;
        for await (const read of oplog.read(chain, at(100), at(next))) count += read.count;
        assert.equal(count, (writer.through.t - 5 - 100) / 10 + 1);
      },
    );
  }
});

test('what a test calls death is no failure of the repository', async () => {
  const storage = faultyStorage(memoryStorage(), () => 'die-before');
  await assert.rejects(storage.put('x', Buffer.alloc(1), 'new'), Died);
  await assert.rejects(storage.read('x'), Died);
});
