import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { openTestArchive } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, readAll, requireSound, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { chanceFrom } from '../../test/kit/seeded.ts';
import type { Archive } from './archive.ts';
import { oplogDamaged, oplogGap } from './failures.ts';
import { mergeOplog, removeMerged, type MergeOptions, type MergeReport, type RemoveReport } from './oplog-merge.ts';
import { usualMergeLimits } from './oplog-merge-plan.ts';
import { listParts, openSlice, wayFrom } from './oplog-reader.ts';
import { encodeSlice, sliceName, type SliceName } from './oplog-slice.ts';
import { cutOplog, emptyCuts } from './oplog-trim.ts';

const day = 86_400;
const at = (t: number): ClusterTime => ({ t, i: 3 });
const slicesOf = (storage: MemoryStorage): string[] => [...storage.objects.keys()].filter((name) => name.includes('/slices/')).sort();
const failsWith = (maker: { code: string }) => (error: unknown) => isFailure(error, maker) || assert.fail(String(error));

async function merge(archive: Archive, options?: MergeOptions): Promise<MergeReport & { removed: RemoveReport }> {
  const report = await mergeOplog(archive.parts, options);
  return { ...report, removed: await removeMerged(archive.parts, report.full) };
}

async function begin(moments: readonly number[], storage = memoryStorage()): Promise<{ storage: MemoryStorage; archive: Archive; chain: string }> {
  const archive = await openTestArchive(storage);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10), previous: null });
  await writeSlices(archive, chain, moments);
  return { storage, archive, chain };
}

const moments = (count: number, from = 20, step = 10): number[] => Array.from({ length: count }, (_, index) => from + index * step);

test('slices of a day that is over become one, those of an open day when they are sixteen; everything is read as before and the writer goes on', async () => {
  const { storage, archive, chain } = await begin([...moments(5), ...moments(18, day + 10)]);
  const whole = await readAll(archive, chain, time(10), at(day + 180));
  const written = await mergeOplog(archive.parts);
  assert.deepEqual([written.slices, written.into, written.stays, written.full.length], [6 + 16, 2, [], 2]);
  assert.equal(slicesOf(storage).length, 23 + 2, 'everything is still there');
  assert.ok(whole.equals(await readAll(archive, chain, time(10), at(day + 180))));
  const removed = await removeMerged(archive.parts, written.full);
  assert.deepEqual([removed.slices, removed.stays], [22, []]);
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ after, through }) => [after.t, through.t]), [[10, day + 10], [day + 10, day + 170], [day + 170, day + 180]]);
  assert.ok(whole.equals(await readAll(archive, chain, time(10), at(day + 180))));
  await writeSlices(archive, chain, moments(15, day + 190));
  assert.equal((await mergeOplog(archive.parts)).into, 0, 'fifteen and the writer\'s, in an open day');
  await writeSlices(archive, chain, [2 * day + 10, 2 * day + 20]);
  const second = await merge(archive);
  assert.deepEqual([second.slices, second.into, second.removed.slices], [18, 1, 18], 'what was merged in its day is merged again with the rest of it');
  await requireSound(archive, 'at the end');
  assert.equal(slicesOf(storage).length, 3);
  assert.deepEqual(await merge(archive).then(({ into, full }) => [into, full.length]), [0, 0]);
});

test('whatever is written, merged, removed and cut in whatever order, every stretch reads as it did, and the chain is proved', async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  for (let round = 0; round < 8; round++) {
    const { archive, chain } = await begin([], memoryStorage());
    const { archive: reference, chain: same } = await begin([], memoryStorage());
    let [now, floor] = [10, 10];
    const ends = [10];
    for (let step = 0; step < 8; step++) {
      const where = `seed ${chance.seed}, round ${round}, step ${step}`;
      const times = Array.from({ length: chance.below(12) }, () => (now += 1 + chance.below(15_000)));
      const padding = 'x'.repeat(chance.below(300));
      await writeSlices(archive, chain, times, padding);
      await writeSlices(reference, same, times, padding);
      ends.push(...times);
      const { full, stays } = await mergeOplog(archive.parts, { limits: { groupBytes: 1_000 + chance.below(20_000), fewest: 2 + chance.below(5) } });
      assert.deepEqual(stays, [], where);
      const removed = await removeMerged(archive.parts, full.filter(() => chance.below(3) > 0));
      assert.deepEqual(removed.stays, [], where);
      if (chance.below(4) === 0) {
        const before = chance.pick(ends);
        await emptyCuts(archive.parts, (await cutOplog(archive.parts, async () => (_, through) => through.t > before)).full);
      }
      await requireSound(archive, where);
      floor = Math.max(floor, ...(await archive.oplog.slices(chain)).filter(({ isCut }) => isCut).map(({ through }) => through.t));
      for (let look = 0; look < 6; look++) {
        const [from, to] = [floor + chance.below(now - floor + 1), floor + chance.below(now - floor + 1)].sort((a, b) => a - b);
        const [after, through] = [{ t: from!, i: from === floor ? 3 : chance.below(4) }, { t: to!, i: to === now ? 3 : chance.below(4) }];
        if (compareTimes(after, through) < 0 && (floor > 10 || after.t > 10)) assert.ok((await readAll(archive, chain, after, through)).equals(await readAll(reference, same, after, through)), `${where}: ${from} to ${to}`);
      }
    }
  }
});

test('by names alone: with parts and merged slices beside each other, and any of the oldest parts gone, the way is whole', (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  const slice = (from: number, to: number, isMerged: boolean): SliceName => ({ name: `${from}-${to}${isMerged ? 'm' : ''}`, after: { t: from, i: 1 }, through: { t: to, i: 1 }, bytes: 1, isCut: false, isMerged });
  for (let round = 0; round < 2_000; round++) {
    const count = 3 + chance.below(20);
    let there = Array.from({ length: count }, (_, at) => slice(at, at + 1, false));
    for (let merge = chance.below(6); merge > 0; merge--) {
      const way = wayFrom(there, { t: 0, i: 1 }, undefined);
      const from = chance.below(way.length);
      const to = Math.min(way.length - 1, from + 1 + chance.below(5));
      if (to <= from) continue;
      const merged = slice(way[from]!.after.t, way[to]!.through.t, true);
      there = [...there, merged].sort((a, b) => compareTimes(a.after, b.after) || compareTimes(a.through, b.through));
      const inside = there.filter((one) => one !== merged && one.after.t >= merged.after.t && one.through.t <= merged.through.t);
      const gone = new Set(inside.slice(0, chance.below(inside.length + 1)));
      there = there.filter((one) => !gone.has(one));
    }
    assert.equal(wayFrom(there, { t: 0, i: 1 }, undefined).at(-1)!.through.t, count, `seed ${chance.seed}: ${there.map(({ name }) => name).join(' ')}`);
  }
});

test('a damaged slice is told and stays alone, and what stands beside it is merged', async () => {
  const { storage, archive, chain } = await begin([...moments(8), day + 10, day + 20]);
  const hurt = slicesOf(storage)[3]!;
  storage.objects.get(hurt)!.bytes.fill(0, -5);
  const { into, slices, stays, removed } = await merge(archive);
  assert.deepEqual([into, slices, stays.map(({ object }) => object), removed.slices], [2, 3 + 5, [hurt], 8]);
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ through }) => through.t), [40, 50, day + 10, day + 20]);
});

test('a run merges a lot and says what is left; what still stands inside merged slices counts, and the free space bounds it', async () => {
  const { storage, archive, chain } = await begin([...Array.from({ length: 6 }, (_, at) => moments(8, at * day + 20)).flat(), 6 * day + 20]);
  const bytes = slicesOf(storage).map((name) => storage.objects.get(name)!.bytes.length);
  const aDay = bytes.slice(0, 8).reduce((sum, one) => sum + one, 0);
  const whole = await readAll(archive, chain, time(10), at(6 * day + 20));
  // A group that cannot be merged takes nothing of the lot.
  storage.objects.get(slicesOf(storage)[0]!)!.bytes.fill(0, -5);
  const lot = { bytes: 2.5 * aDay + 100, groups: 64, reserveBytes: 0 };
  const first = await mergeOplog(archive.parts, { lot });
  assert.deepEqual([first.into >= 2, first.left > 0, first.held], [true, true, null]);
  const none = await mergeOplog(archive.parts, { lot: { ...lot, bytes: first.full.length * aDay } });
  assert.deepEqual([none.into, none.left > 0, /are still to go/.test(none.held ?? '')], [0, true, true]);
  await removeMerged(archive.parts, none.full);
  storage.freeBytes = async () => await Promise.resolve(1000 + aDay / 2);
  const tight = await merge(archive, { lot: { ...lot, reserveBytes: 1000 } });
  assert.deepEqual([tight.into, tight.left > 0, /bytes free/.test(tight.held ?? '')], [0, true, true]);
  storage.freeBytes = async () => await Promise.resolve(null);
  let runs = 0;
  for (let left = 1; left > 0; runs++) ({ left } = await merge(archive, { lot: { ...lot, groups: 1 } }));
  assert.ok(runs >= 3, `${runs} runs of one group each`);
  assert.deepEqual(await mergeOplog(archive.parts).then(({ into, left, full }) => [into, left, full.length]), [0, 0, 0]);
  assert.ok(whole.subarray(-200).equals((await readAll(archive, chain, at(20), at(6 * day + 20))).subarray(-200)));
});

test('nothing is merged across a cut, with the last slice, or with one that is retained', async () => {
  let now = Date.now();
  const { archive, chain } = await begin(moments(12), memoryStorage(() => now, { days: 3, mode: null }));
  assert.equal((await mergeOplog(archive.parts, { limits: { groupBytes: 1 << 20, fewest: 2 } })).into, 0, 'all are retained');
  now += 5 * 86_400_000;
  await cutOplog(archive.parts, async () => ({ t: from }, { t: to }) => to <= 50 || from >= 80);
  const { slices, into } = await mergeOplog(archive.parts, { limits: { groupBytes: 1 << 20, fewest: 2 } });
  assert.deepEqual([slices, into], [4 + 4, 2]);
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ through, isCut }) => [through.t, isCut]), [[50, false], [80, true], [120, false], [130, false]]);
});

test('run after run each entry is written again twice, and a day that is over is a few slices', async (t) => {
  const { storage, archive, chain } = await begin([]);
  const limits = { groupBytes: 1 << 15, fewest: usualMergeLimits.fewest };
  const noisy = chanceFrom(7);
  let [now, written, again] = [20, 0, 0];
  for (let run = 0; run < 36; run++) {
    const writer = await archive.oplog.openChainWriter(chain, 'a:1');
    for (let slice = 0; slice < 20; slice++) {
      now += 360;
      for (let i = 1; i <= 3; i++) writer.append(batchOf([time(now, i)], noisy.bytes(150).toString('hex')));
      await writer.flush();
    }
    await writer.close();
    written += 60;
    const before = new Set(slicesOf(storage));
    const { full } = await mergeOplog(archive.parts, { limits });
    for (const slice of await listParts(archive.parts, chain)) if (!before.has(slice.name)) again += (await openSlice(archive.parts, chain, slice)).header.blocks.reduce((sum, { count }) => sum + count, 0);
    if (full.length > 0) await removeMerged(archive.parts, full);
  }
  t.diagnostic(`each entry was written again ${(again / written).toFixed(2)} times`);
  assert.ok(again <= 2 * written && again > written, `${again} of ${written}`);
  const days = Map.groupBy(await archive.oplog.slices(chain), ({ after }) => Math.floor(after.t / day));
  for (const one of [0, 1]) assert.ok(days.get(one)!.length <= 7, `${days.get(one)!.length} slices of 240 are left of day ${one}`);
  await requireSound(archive, 'at the end');
});

test('who reads while slices go reads on, at whatever slice he is, and one that went with no other in its place is damage', async () => {
  for (let stop = 1; stop <= 7; stop++) {
    const { storage, archive, chain } = await begin([...moments(6), day + 10, day + 20, day + 30]);
    const whole = await readAll(archive, chain, time(10), at(day + 30));
    const read: Uint8Array[] = [];
    let count = 0;
    for await (const { bytes } of archive.oplog.read(chain, time(10), at(day + 30))) {
      read.push(bytes);
      if (++count === stop) assert.equal((await merge(archive)).removed.slices, 7);
    }
    assert.ok(whole.equals(Buffer.concat(read)), `stopped at ${stop}`);
    const reading = archive.oplog.read(chain, time(10), at(day + 30))[Symbol.asyncIterator]();
    await reading.next();
    for (const name of slicesOf(storage).slice(1)) storage.objects.delete(name);
    await assert.rejects(async () => {
      while ((await reading.next()).done !== true);
    }, failsWith(oplogGap));
  }
});

test('names that a host adds decide nothing: what differs from the merged slice stays and is told, and an end counts in no other name', async () => {
  const { storage, archive, chain } = await begin([...moments(6), day + 10, day + 20]);
  const { keys, names } = archive.parts;
  const whole = await readAll(archive, chain, time(10), at(day + 20));
  const { full } = await mergeOplog(archive.parts);
  const forge = async (from: number, to: number): Promise<string> => {
    const name = sliceName(names, chain, time(from, 3), time(to, 3));
    await storage.put(name, encodeSlice(keys, name, time(from, 3), '00', [batchOf([time(from + 1), time(to, 3)])]).bytes, 'new');
    return name;
  };
  const forged = [await forge(25, 45), await forge(30, 60)];
  const { slices, stays } = await removeMerged(archive.parts, full);
  assert.deepEqual([slices, stays.map(({ object }) => object)], [7, forged]);
  assert.match(stays[0]!.why, /its entries are not those of/);
  assert.ok(whole.equals(await readAll(archive, chain, time(10), at(day + 20))));
  await requireSound(archive, 'with forged names');
  const part = (await listParts(archive.parts, chain)).find(({ isMerged }) => isMerged)!;
  const plain = sliceName(names, chain, part.after, part.through);
  for (const name of forged) storage.objects.delete(name);
  storage.objects.set(plain, storage.objects.get(part.name)!);
  storage.objects.delete(part.name);
  await assert.rejects(readAll(archive, chain, time(10), at(day + 20)), failsWith(oplogDamaged));
});

test('a merged slice that is damaged gives way while what it was made of is there; later its parts stay where they are', async () => {
  const { storage, archive, chain } = await begin([...moments(6), day + 10, day + 20]);
  const whole = await readAll(archive, chain, time(10), at(day + 20));
  const { full } = await mergeOplog(archive.parts);
  const [merged] = (await listParts(archive.parts, chain)).filter(({ isMerged }) => isMerged);
  storage.objects.get(merged!.name)!.bytes.fill(0, -5);
  const { slices, stays } = await removeMerged(archive.parts, full);
  assert.deepEqual([slices, stays.map(({ object }) => object)], [0, [merged!.name]]);
  assert.match(stays[0]!.why, /takes its place again/);
  assert.ok(whole.equals(await readAll(archive, chain, time(10), at(day + 20))));
  assert.equal((await merge(archive)).removed.slices, 7);
  await requireSound(archive, 'at the end');
});
