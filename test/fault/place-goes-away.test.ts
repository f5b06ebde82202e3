/** A place that goes away while it is looked at says nothing of what lies there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketNotReached } from '../../src/repository/failures.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { noise, openScene, openTestArchive } from '../kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';

/** Answers `reads` reads, and none after that. */
function away(inner: MemoryStorage, reads: number): Storage & { readonly isAway: boolean } {
  let left = reads;
  return {
    ...inner,
    get isAway() {
      return left < 0;
    },
    async read(name, range) {
      left -= 1;
      if (left < 0) throw bucketNotReached({ place: 'memory', why: 'the test took it away' });
      return await inner.read(name, range);
    },
  };
}

test('a check whose place goes away at any read fails with that, calls nothing damaged, and marks no pack', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const contents = { a: noise(2_500_000, 1), b: noise(300_000, 2) };
  await scene.store(archive, 'p1', contents);
  const chain = await archive.oplog.startChain({ why: 'new', after: { t: 100, i: 1, term: 1 }, previous: null });
  const writer = await archive.oplog.openChainWriter(chain, 'n1');
  writer.append({ first: { t: 150, i: 1, term: 1 }, last: { t: 150, i: 1, term: 1 }, count: 1, bytes: noise(500, 3) });
  await writer.flush();
  await writer.close();
  const before = [...storage.objects.keys()].sort();
  // Two of them open the archive.
  for (let reads = 2; ; reads++) {
    assert.ok(reads < 500, 'the check ends');
    const place = away(storage, reads);
    const checked = await openTestArchive(place);
    const outcome = await checked.check({ readDataPercent: 100, workers: 0 }).catch((error: unknown) => error as { code: string });
    if (!place.isAway) {
      assert.deepEqual('damage' in outcome && outcome.damage, []);
      assert.ok(reads > 8, `${reads} reads`);
      break;
    }
    assert.equal('code' in outcome && outcome.code, 'repository.bucket-not-reached', `after ${reads} reads`);
  }
  assert.deepEqual([...storage.objects.keys()].sort(), before);
  await scene.requireExact(archive, 'p1', contents);
});
