import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { until } from '../../src/base/deadline.ts';
import { leaseLost, pointMissing, sweepRunning } from '../../src/repository/failures.ts';
import { noise, openScene, openTestArchive } from '../kit/archive-scene.ts';
import { faultyStorage } from '../kit/faulty-storage.ts';
import { memoryStorage } from '../kit/memory-storage.ts';
import { turnedClock } from '../kit/turned-clock.ts';

const KiB = 1 << 10;
const about = { checkpoint: { t: 1, i: 1 }, top: { t: 2, i: 1, term: 1 }, about: {} };

test('two movers that store the same and other files at once make two whole points', async (t) => {
  const scene = await openScene(t);
  const other = await openScene(t);
  const storage = memoryStorage();
  await openTestArchive(storage);
  const common = noise(1500 * KiB, 1);
  const one = { a: common, b: noise(700 * KiB, 2) };
  const two = { a: common, c: noise(900 * KiB, 3) };
  await Promise.all([scene.store(await openTestArchive(storage), 'p1', one), other.store(await openTestArchive(storage), 'p2', two)]);
  const archive = await openTestArchive(storage);
  await scene.requireExact(archive, 'p1', one);
  await scene.requireExact(archive, 'p2', two);
  await archive.sweep();
  await scene.requireExact(archive, 'p1', one);
  await scene.requireExact(archive, 'p2', two);
  assert.deepEqual((await archive.check({ readDataPercent: 100, workers: 0 })).damage, []);
});

test('a sweep waits for a backup that builds on chunks of a deleted point, and the backup\'s point is whole', async (t) => {
  const scene = await openScene(t);
  const root = await mkdtemp(join(tmpdir(), 'tm-repository-'));
  t.after(async () => await rm(root, { recursive: true }));
  const clock = turnedClock(Date.now() + 3_600_000);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const contents = { a: noise(1500 * KiB, 1) };
  await scene.store(archive, 'p1', contents);
  await writeFile(join(root, 'a'), contents.a);
  // The backup starts, and takes up all chunks of p1; then p1 is deleted and a sweep runs into the open backup.
  const writer = await (await openTestArchive(storage)).openWriter({ level: 'fast', workers: 0, clock });
  const stored = await writer.storeFile({ path: 'a', from: join(root, 'a'), bytes: contents.a.length, mode: 0o600 });
  assert.ok(stored.kind === 'stored');
  assert.equal(writer.counts.transferred, 0);
  await archive.deletePoint('p1');
  const steps: string[] = [];
  const sweeping = archive.sweep({ clock, onProgress: (step) => void steps.push(step) });
  await until('the sweep to wait', 20_000, () => (steps.includes('wait for backups that are running') ? true : undefined), { everyMs: 5 });
  // A backup that starts now does not build on what is about to go.
  const late = await openTestArchive(storage);
  await scene.store(late, 'late', contents);
  await scene.requireExact(late, 'late', contents);
  await writer.publish({ id: 'p2', ...about, files: [stored.file] });
  await writer.close();
  const turning = setInterval(() => clock.turn(600), 5);
  t.after(() => clearInterval(turning));
  const report = await sweeping;
  assert.ok(report.deletedPacks > 0, JSON.stringify(report));
  for (const id of ['p2', 'late']) await scene.requireExact(archive, id, contents);
  assert.deepEqual((await archive.check({ readDataPercent: 100, workers: 0 })).damage, []);
});

test('a sweep that a long backup outlasts leaves its work to the next one', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  await scene.store(archive, 'p1', { a: noise(1500 * KiB, 1) });
  const clock = turnedClock(Date.now() + 3_600_000);
  const writer = await archive.openWriter({ level: 'fast', workers: 0, clock });
  await archive.deletePoint('p1');
  assert.equal((await archive.sweep({ waitMs: 0, clock })).deletedPacks, 0);
  await writer.close();
  const report = await archive.sweep({ waitMs: 0, clock });
  assert.equal(report.deletedPacks, 1);
  assert.ok(report.freedBytes > 1500 * KiB);
  assert.equal([...storage.objects.keys()].filter((name) => /\/(packs|retired|leases)\//.test(name)).length, 0);
});

test('a backup that was silent for too long is taken for dead by a sweep, and cannot publish', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  await scene.store(archive, 'p1', { a: noise(300 * KiB, 1) });
  const stopped = turnedClock(Date.now());
  const writer = await archive.openWriter({ level: 'fast', workers: 0, clock: stopped });
  await archive.deletePoint('p1');
  const report = await archive.sweep({ clock: turnedClock(Date.now() + 3_600_000) });
  assert.equal(report.deletedPacks, 1);
  await assert.rejects(writer.publish({ id: 'p2', ...about, files: [] }), (error) => isFailure(error, leaseLost));
  await assert.rejects(archive.point('p2'), (error) => isFailure(error, pointMissing));
  await writer.close();
});

test('a point whose writer loses its lease while it publishes is withdrawn', async () => {
  const storage = memoryStorage();
  await openTestArchive(storage);
  // Exactly between the put of the point and the confirmation, somebody breaks the lease.
  const faulty = faultyStorage(storage, (change) => {
    if (change.kind === 'put' && change.name.endsWith('/points/p1')) {
      const lease = [...storage.objects.keys()].find((name) => name.includes('/leases/writer-'))!;
      storage.objects.set(lease.replace('/leases/', '/leases/broken-'), { bytes: new Uint8Array(0), modifiedMs: Date.now() });
    }
    return 'pass';
  });
  const archive = await openTestArchive(faulty);
  const writer = await archive.openWriter({ level: 'fast', workers: 0 });
  await assert.rejects(writer.publish({ id: 'p1', ...about, files: [] }), (error) => isFailure(error, leaseLost));
  await writer.close();
  assert.deepEqual(await archive.points(), []);
});

test('two sweeps at once do not both work', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  await scene.store(archive, 'p1', { a: noise(300 * KiB, 1) });
  const clock = turnedClock(Date.now() + 3_600_000);
  const writer = await archive.openWriter({ level: 'fast', workers: 0, clock });
  await archive.deletePoint('p1');
  const steps: string[] = [];
  const first = archive.sweep({ clock, onProgress: (step) => void steps.push(step) });
  await until('the sweep to wait', 20_000, () => (steps.includes('wait for backups that are running') ? true : undefined), { everyMs: 5 });
  await assert.rejects(archive.sweep({ clock }), (error) => isFailure(error, sweepRunning));
  await writer.close();
  const turning = setInterval(() => clock.turn(600), 5);
  t.after(() => clearInterval(turning));
  assert.equal((await first).deletedPacks, 1);
});

test('a reader that was open before a sweep finds what was moved', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage(() => 1);
  const archive = await openTestArchive(storage);
  const kept = noise(600 * KiB, 1);
  await scene.store(archive, 'p1', { a: kept, gone: noise(600 * KiB, 2) });
  const { point } = await scene.store(archive, 'p2', { a: kept });
  const reader = await archive.openReader({ workers: 0, cacheBytes: 0 });
  t.after(async () => await reader.close());
  const file = await reader.openFile(point.files[0]!);
  assert.ok(kept.subarray(0, 100).equals(await file.read(0, 100)));
  await archive.deletePoint('p1');
  const moved: (readonly [bytes: number, of: number | null])[] = [];
  const report = await archive.sweep({ onMoved: (bytes, of) => void moved.push([bytes, of]) });
  assert.ok(report.rewrittenPacks > 0, JSON.stringify(report));
  const [bytes, of] = moved.at(-1)!;
  assert.ok(of !== null && bytes <= of && bytes > 0.98 * of && bytes >= kept.length, `it ends with ${bytes} of ${of}, which was told before`);
  assert.ok(moved.every(([one, all], n) => all === of && one >= (moved[n - 1]?.[0] ?? 0)));
  assert.ok(kept.equals(await file.read(0, kept.length)));
});
