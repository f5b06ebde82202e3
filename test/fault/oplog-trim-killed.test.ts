/** The retention of the oplog, killed before and after every write: what is needed is whole, and the next run ends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterTime } from '../../src/base/cluster-time.ts';
import type { Archive } from '../../src/repository/archive.ts';
import { cutOplog, emptyCuts } from '../../src/repository/oplog-trim.ts';
import { openTestArchive } from '../kit/archive-scene.ts';
import { faultyStorage } from '../kit/faulty-storage.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';
import { readAll, requireSound, time, writeSlices } from '../kit/oplog-scene.ts';

/** A yearly point's minute in the middle of a chain, and the last days. */
const isNeeded = (after: ClusterTime, through: ClusterTime): boolean => (through.t >= 300 && after.t <= 320) || through.t >= 520;

async function trim(archive: Archive): Promise<void> {
  await emptyCuts(archive.parts, (await cutOplog(archive.parts, async () => isNeeded)).full);
}

/** A lease of a process that is gone would be waited for: on the same machine it is known to be dead. */
function withoutLeases(storage: MemoryStorage): MemoryStorage {
  for (const name of storage.objects.keys()) if (name.includes('/leases/')) storage.objects.delete(name);
  return storage;
}

for (const fault of ['die-before', 'die-after'] as const) {
  test(`a retention of the oplog that dies at any write (${fault}) leaves chains that are proved, and the next one gives the space back`, async (t) => {
    const before = memoryStorage();
    const made = await openTestArchive(before);
    const old = await made.oplog.startChain({ why: 'first', after: time(10), previous: null });
    await writeSlices(made, old, [20, 30]);
    await made.oplog.addBarrier(old, time(20), 'a barrier');
    const chain = await made.oplog.startChain({ why: 'it broke', after: time(100), previous: old });
    await writeSlices(made, chain, [200, 290]);
    // Shortened once before, so that this time a cut joins another one.
    await emptyCuts(made.parts, (await cutOplog(made.parts, async () => (_, through) => through.t > 200)).full);
    await made.oplog.startChain({ why: 'never written', after: time(90), previous: chain });
    const last = await made.oplog.startChain({ why: 'again', after: time(100), previous: old });
    await writeSlices(made, last, [200, 290, 310, 330, 400, 410, 500, 530, 540]);
    await made.oplog.addBarrier(last, time(405), 'a barrier');
    const [minute, days] = [await readAll(made, last, time(300), time(330)), await readAll(made, last, time(520), time(540, 3))];
    await trim(await openTestArchive(withoutLeases(before.copy())));
    let tried = 0;
    for (let number = 1; ; number++) {
      const storage = before.copy();
      const faulty = faultyStorage(storage, (change) => (change.number === number ? fault : 'pass'));
      await trim(await openTestArchive(faulty)).catch(() => {});
      const isStruck = faulty.isDead;
      const archive = await openTestArchive(withoutLeases(storage));
      const where = `${fault} ${number}`;
      await requireSound(archive, where);
      assert.ok(minute.equals(await readAll(archive, last, time(300), time(330))), where);
      assert.ok(days.equals(await readAll(archive, last, time(520), time(540, 3))), where);
      await trim(archive);
      await requireSound(archive, `${where}, and again`);
      assert.deepEqual((await archive.oplog.chains()).chains.map(({ id }) => id), [last], where);
      assert.deepEqual([...storage.objects.keys()].filter((name) => name.includes('/slices/')).length, 4, where);
      assert.ok(days.equals(await readAll(archive, last, time(520), time(540, 3))), where);
      if (!isStruck) break;
      tried = number;
    }
    t.diagnostic(`${tried} changes were tried`);
    assert.ok(tried > 15);
  });
}
