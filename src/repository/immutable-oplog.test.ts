/** Slices that come from another archive are kept like those of a chain's own writer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setId } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { requireSound, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { isFailure } from '../base/failure.ts';
import { openArchive, type Archive } from './archive.ts';
import { copyOplog, type OplogCopied } from './copy-oplog.ts';
import { objectRetained } from './failures.ts';
import { mergeOplog, removeMerged } from './oplog-merge.ts';
import { listSlices } from './oplog-reader.ts';
import { repairArchive } from './repair.ts';
import { makeArchive } from './repository.ts';
import type { Storage } from './storage/storage.ts';

const day = 86_400_000;
const immutable = { days: 30, mode: 'compliance' } as const;

async function openUnder(storage: Storage, fill: number): Promise<Archive> {
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

const slicesOf = (storage: MemoryStorage): string[] => [...storage.objects.keys()].filter((name) => name.includes('/slices/')).sort();

async function requireRetained(storage: MemoryStorage, names: readonly string[], nowMs: number): Promise<void> {
  assert.ok(names.length > 0);
  for (const name of names) {
    const [untilMs] = await storage.retention!.until!([name]);
    assert.ok((untilMs ?? 0) >= nowMs + 30 * day, `${name} is retained until ${untilMs}`);
  }
}

async function copy(source: Archive, target: Storage): Promise<OplogCopied> {
  return await copyOplog({ source: source.parts, target: (await openUnder(target, 2)).parts, from: null }, (await source.oplog.chains()).chains);
}

/** An archive with a chain of so many slices. */
async function openSource(moments: readonly number[]): Promise<{ source: Archive; chain: string }> {
  const source = await openUnder(memoryStorage(), 1);
  const chain = await source.oplog.startChain({ why: 'first', after: time(10), previous: null });
  await writeSlices(source, chain, moments);
  return { source, chain };
}

test('each slice that is copied into an immutable repository is retained, the rest of a merged one too, and the chain for as long as it goes on', async () => {
  const clock = turnedClock();
  const target = memoryStorage(clock.now, immutable);
  const { source, chain } = await openSource([20, 30, 40]);
  assert.equal((await copy(source, target)).slices, 3);
  await requireRetained(target, slicesOf(target), clock.now());
  await assert.rejects(target.delete(slicesOf(target)[0]!), (error) => isFailure(error, objectRetained));
  clock.turn(20 * day);
  await writeSlices(source, chain, [50, 60]);
  const limits = { groupBytes: 32 << 20, fewest: 2 };
  await removeMerged(source.parts, (await mergeOplog(source.parts, { limits })).full);
  const before = slicesOf(target);
  await copy(source, target);
  const added = slicesOf(target).filter((name) => !before.includes(name));
  assert.ok(added.some((name) => name.endsWith('-merged')), added.join(' '));
  await requireRetained(target, [...added, `sets/${setId}/chains/${chain}`, `archives/${setId}`], clock.now());
});

test('a slice that a killed copy left without its retention has it after the next run, though nothing new came', async () => {
  const clock = turnedClock();
  const target = memoryStorage(clock.now, immutable);
  const { source } = await openSource([20, 30, 40]);
  let slices = 0;
  const retain = async (names: readonly string[]): Promise<void> => {
    if (names.some((name) => name.includes('/slices/')) && ++slices === 3) throw new Error('killed');
    await target.retention!.retain(names);
  };
  await assert.rejects(copy(source, { ...target, retention: { ...target.retention!, retain } }), /killed/);
  assert.deepEqual(await target.retention!.until!(slicesOf(target).slice(-1)), [null]);
  assert.equal((await copy(source, target)).slices, 0);
  await requireRetained(target, slicesOf(target), clock.now());
});

test('a slice that a repair put back is retained, whether it is the same one or was written anew', async () => {
  for (const isMerged of [false, true]) {
    const clock = turnedClock();
    const main = memoryStorage(clock.now, immutable);
    const { source, chain } = await openSource([20, 30, 40, 50]);
    await copy(source, main);
    const hurt = await openUnder(main, 2);
    const lost = (await listSlices(hurt.parts, chain))[1]!.name;
    // A disk loses what is locked, too: after its time here, which is the same to a repair.
    clock.turn(40 * day);
    await main.delete(lost);
    if (isMerged) await removeMerged(source.parts, (await mergeOplog(source.parts, { limits: { groupBytes: 32 << 20, fewest: 2 } })).full);
    const before = slicesOf(main);
    const report = await repairArchive(await openUnder(main, 2), { archive: source, repository: 'aa', name: 'first' }, { workers: 0 });
    assert.ok(report.ok, JSON.stringify(report.objects));
    const put = slicesOf(main).filter((name) => !before.includes(name));
    assert.equal(put[0]!.endsWith('-merged'), isMerged);
    await requireRetained(main, put, clock.now());
    await requireSound(hurt, lost);
  }
});
