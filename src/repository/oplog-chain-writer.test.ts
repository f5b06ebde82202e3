/** A chain that goes on where slices are gone, and others stand behind them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestArchive } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, entry, readAll, time } from '../../test/kit/oplog-scene.ts';
import { compareTimes } from '../base/cluster-time.ts';
import type { Archive } from './archive.ts';

/** A quiet set: an entry each ten seconds, each of them a slice; those at `lost` are gone. */
async function openHole(lost: readonly number[]): Promise<{ storage: MemoryStorage; archive: Archive; chain: string }> {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10), previous: null });
  const writer = await archive.oplog.openChainWriter(chain, 'n');
  for (const t of [20, 30, 40, 50, 60, 70]) {
    writer.append(batchOf([time(t)]));
    await writer.flush();
  }
  await writer.close();
  const slices = [...storage.objects.keys()].filter((name) => name.includes('/slices/')).sort();
  for (const at of lost) storage.objects.delete(slices[at]!);
  return { storage, archive, chain };
}

const entriesOf = (moments: readonly number[]): Buffer => Buffer.concat(moments.map((t) => entry(time(t))));

/** Every stretch that the chain offers by its names is read, from each moment to each. */
async function requireReadable(archive: Archive, chain: string, all: readonly number[], where: string): Promise<void> {
  for (const run of await archive.oplog.runs(chain)) {
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined) continue;
    const offered = [first.after.t, ...all].filter((t) => t >= first.after.t && t <= last.through.t);
    for (const after of offered) {
      for (const through of offered.filter((t) => t > after)) {
        const got = await readAll(archive, chain, time(after), time(through));
        assert.ok(got.equals(entriesOf(all.filter((t) => t > after && t <= through))), `${where}: from ${after} to ${through}`);
      }
    }
  }
}

test('a chain that goes on where slices are gone offers nothing that cannot be read, wherever its new slices end', async () => {
  const batches = [[30], [40], [50], [60], [70], [75, 80], [90]];
  const all = [20, ...batches.flat()];
  // Behind which batches it is flushed, by the bits of `flushes`; it is stopped and begun again at every one.
  for (const lost of [[0], [1, 3]]) {
    for (let flushes = 0; flushes < 1 << (batches.length - 1); flushes++) {
      const { archive, chain } = await openHole(lost);
      const where = `lost ${lost.join()}, flushed ${flushes.toString(2)}`;
      for (let round = 0, isDone = false; !isDone; round++) {
        assert.ok(round <= batches.length, `${where}: it comes no further`);
        const writer = await archive.oplog.openChainWriter(chain, 'n');
        isDone = true;
        for (const [at, batch] of [[20], ...batches].entries()) {
          if (compareTimes(time(batch[0]!), writer.through) <= 0) continue;
          writer.append(batchOf(batch.map((t) => time(t))));
          const before = writer.through;
          if (at === batches.length || (flushes >> at) % 2 === 1) await writer.flush();
          if (writer.through.t === before.t) continue;
          isDone = at === batches.length;
          break;
        }
        await writer.close();
        await requireReadable(archive, chain, all, where);
      }
      assert.equal((await archive.oplog.slices(chain)).at(-1)?.through.t, 90, where);
      assert.ok((await readAll(archive, chain, time(10), time(90))).equals(entriesOf(all)), where);
    }
  }
});

test('a slice that would end where an old one begins waits for the batch that passes it', async () => {
  const { archive, chain } = await openHole([1, 2]);
  const writer = await archive.oplog.openChainWriter(chain, 'n');
  assert.equal(writer.through.t, 20);
  writer.append(batchOf([time(30), time(40)]));
  assert.equal((await writer.flush()).t, 20);
  assert.ok(writer.pendingBytes > 0);
  writer.append(batchOf([time(50), time(60), time(65)]));
  assert.equal((await writer.flush()).t, 65);
  assert.equal(writer.pendingBytes, 0);
});
