import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, openScene, openTestArchive } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import type { CheckReport } from './check.ts';
import type { Storage } from './storage/storage.ts';

const KiB = 1 << 10;

type Meddled = Storage & { /** From now on calls are counted from 1, and before number `when` this happens. */ meddle(when: number, happens: () => Promise<void>): void; readonly calls: number };

function meddled(inner: MemoryStorage): Meddled {
  let [calls, awaited, happens] = [0, 0, async (): Promise<void> => {}];
  const call = async (): Promise<void> => {
    if (++calls === awaited) await happens();
  };
  return {
    ...inner,
    get calls() {
      return calls;
    },
    meddle(when, what) {
      [calls, awaited, happens] = [0, when, what];
    },
    async *list(prefix) {
      await call();
      yield* inner.list(prefix);
    },
    async stat(name) {
      await call();
      return await inner.stat(name);
    },
    async read(name, range) {
      await call();
      return await inner.read(name, range);
    },
  };
}

/** A check of everything for each of its calls, before which `happens` is done. */
async function checkedAtEveryCall(scene: MemoryStorage, happens: (storage: MemoryStorage) => Promise<void>): Promise<CheckReport[]> {
  const reports: CheckReport[] = [];
  for (let when = 1; ; when++) {
    const inner = scene.copy();
    const storage = meddled(inner);
    const archive = await openTestArchive(storage);
    storage.meddle(when, async () => await happens(inner));
    const report = await archive.check({ readDataPercent: 100, workers: 0 });
    if (storage.calls < when) return reports;
    reports.push(report);
  }
}

function requireSound(reports: readonly CheckReport[]): void {
  assert.ok(reports.length > 10, `${reports.length} calls`);
  for (const [at, { damage, hurtPoints }] of reports.entries()) assert.deepEqual([damage, hurtPoints], [[], []], `before call ${at + 1} of ${reports.length}`);
}

test('a point that a backup publishes while a check reads is not taken for hurt', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  await scene.store(await openTestArchive(storage), 'p1', { a: noise(200 * KiB, 1) });
  requireSound(await checkedAtEveryCall(storage, async (meanwhile) => void (await scene.store(await openTestArchive(meanwhile), 'p2', { a: noise(200 * KiB, 1), b: noise(200 * KiB, 2) }))));
});

test('a sweep that moves packs while a check reads makes no point hurt and no pack damaged', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  await scene.store(archive, 'p1', { a: noise(200 * KiB, 1), gone: noise(200 * KiB, 2) });
  await scene.store(archive, 'p2', { a: noise(200 * KiB, 1), c: noise(200 * KiB, 3) });
  await archive.deletePoint('p1');
  requireSound(
    await checkedAtEveryCall(storage, async (meanwhile) => {
      const report = await (await openTestArchive(meanwhile)).sweep();
      assert.ok(report.rewrittenPacks > 0 && report.deletedPacks > 0, JSON.stringify(report));
    }),
  );
});

test('a point that retention deletes, and whose packs a sweep takes, while a check reads is not hurt', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  await scene.store(archive, 'p1', { a: noise(200 * KiB, 1), gone: noise(200 * KiB, 2) });
  await scene.store(archive, 'p2', { a: noise(200 * KiB, 1) });
  const reports = await checkedAtEveryCall(storage, async (meanwhile) => {
    const other = await openTestArchive(meanwhile);
    await other.deletePoint('p1');
    await other.sweep();
  });
  requireSound(reports);
  assert.deepEqual([reports[0]!.points, reports.at(-1)!.points], [1, 2]);
});

test('damage is told as well where a sweep moves packs while a check reads', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  await scene.store(archive, 'lost', { d: noise(300 * KiB, 4) });
  const [pack] = [...storage.objects.keys()].filter((name) => name.includes('/packs/'));
  await scene.store(archive, 'p1', { a: noise(200 * KiB, 1), gone: noise(200 * KiB, 2) });
  await scene.store(archive, 'p2', { a: noise(200 * KiB, 1) });
  await archive.deletePoint('p1');
  storage.objects.get(pack!)!.bytes[70_000]! ^= 1;
  assert.deepEqual((await (await openTestArchive(storage.copy())).check({ readDataPercent: 100, workers: 0 })).hurtPoints, ['lost']);
  const reports = await checkedAtEveryCall(storage, async (meanwhile) => void (await (await openTestArchive(meanwhile)).sweep()));
  for (const { hurtPoints, damage } of reports) {
    assert.deepEqual(hurtPoints, ['lost']);
    assert.ok(damage.every(({ object }) => object === pack || object.endsWith('/packs/')), JSON.stringify(damage));
  }
});
