/** Slices that are merged, killed before and after every write: the chain is proved, every entry is there, and the next run ends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Archive } from '../../src/repository/archive.ts';
import { mergeOplog, removeMerged } from '../../src/repository/oplog-merge.ts';
import { openTestArchive } from '../kit/archive-scene.ts';
import { faultyStorage } from '../kit/faulty-storage.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';
import { readAll, requireSound, time, writeSlices } from '../kit/oplog-scene.ts';

const day = 86_400;

async function merge(archive: Archive): Promise<void> {
  const { full } = await mergeOplog(archive.parts);
  if (full.length > 0) await removeMerged(archive.parts, full);
}

/** A lease of a process that is gone would be waited for: on the same machine it is known to be dead. */
function withoutLeases(storage: MemoryStorage): MemoryStorage {
  for (const name of storage.objects.keys()) if (name.includes('/leases/')) storage.objects.delete(name);
  return storage;
}

for (const fault of ['die-before', 'die-after'] as const) {
  test(`a merging that dies at any write (${fault}) leaves a chain that is proved and has every entry, and the next one ends it`, async (t) => {
    const before = memoryStorage();
    const made = await openTestArchive(before);
    const old = await made.oplog.startChain({ why: 'first', after: time(10), previous: null });
    await writeSlices(made, old, [20, 30, 40]);
    const chain = await made.oplog.startChain({ why: 'it broke', after: time(50), previous: old });
    await writeSlices(made, chain, [60, 70, day + 10, day + 20]);
    // What was merged once before is merged again with the rest of its day.
    await mergeOplog(made.parts, { limits: { groupBytes: 1 << 20, fewest: 2 } });
    await writeSlices(made, chain, [day + 30, day + 40, 2 * day + 10, 2 * day + 20]);
    const [first, second] = [await readAll(made, old, time(10), time(40, 3)), await readAll(made, chain, time(50), time(2 * day + 20, 3))];
    let tried = 0;
    for (let number = 1; ; number++) {
      const storage = before.copy();
      const faulty = faultyStorage(storage, (change) => (change.number === number ? fault : 'pass'));
      await merge(await openTestArchive(faulty)).catch(() => {});
      const isStruck = faulty.isDead;
      const archive = await openTestArchive(withoutLeases(storage));
      const where = `${fault} ${number}`;
      await requireSound(archive, where);
      await merge(archive);
      await requireSound(archive, `${where}, and again`);
      assert.ok(first.equals(await readAll(archive, old, time(10), time(40, 3))), where);
      assert.ok(second.equals(await readAll(archive, chain, time(50), time(2 * day + 20, 3))), where);
      assert.equal([...storage.objects.keys()].filter((name) => name.includes('/slices/')).length, 4, where);
      if (!isStruck) break;
      tried = number;
    }
    t.diagnostic(`${tried} changes were tried`);
    assert.ok(tried > 12);
  });
}
