import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { openScene, openTestArchive } from '../../test/kit/archive-scene.ts';
import { laggingStorage } from '../../test/kit/lagging-storage.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { readAll, requireSound, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { chanceFrom } from '../../test/kit/seeded.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { oplogGap, sweepRunning } from './failures.ts';
import { takeLease } from './lease.ts';
import { systemClock } from '../base/clock.ts';
import { cutOplog, emptyCuts, planTrim, type IsNeeded } from './oplog-trim.ts';

const at = (t: number): ClusterTime => ({ t, i: 3 });
const before = (t: number) => (_: ClusterTime, through: ClusterTime): boolean => through.t >= t;
const failsWith = (maker: { code: string }) => (error: unknown) => isFailure(error, maker) || assert.fail(String(error));

test('what is cut is a gap at once and whole until it is emptied; what stays is read, proved and written on', async () => {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(archive, chain, [110, 120, 130, 140, 150]);
  await archive.oplog.addBarrier(chain, time(120), 'a barrier');
  const whole = await readAll(archive, chain, at(130), at(150));

  assert.deepEqual((await planTrim(archive.parts, before(140))).goes.map(({ after, through, slices }) => [after.t, through.t, slices]), [[100, 130, 3]]);
  assert.equal((await archive.oplog.slices(chain)).length, 5, 'a plan changes nothing');
  const plan = await cutOplog(archive.parts, async () => before(140));
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ after, isCut }) => [after.t, isCut]), [[100, true], [130, false], [140, false]]);
  assert.ok((await readAll(archive, chain, at(110), at(150))).length > whole.length, 'whoever began before reads on');

  const bytes = storage.objects.size;
  const report = await emptyCuts(archive.parts, plan.full);
  assert.deepEqual([report.slices, report.chains], [3, 0]);
  assert.equal(bytes - storage.objects.size, 4, 'three slices and the barrier');
  await assert.rejects(readAll(archive, chain, at(110), at(150)), failsWith(oplogGap));
  assert.ok(whole.equals(await readAll(archive, chain, at(130), at(150))));
  assert.deepEqual((await archive.oplog.barriers(chain)).barriers, []);
  await writeSlices(archive, chain, [160]);
  await requireSound(archive, 'afterwards');
  assert.deepEqual((await planTrim(archive.parts, before(140))).full, [], 'nothing is left to be emptied');
});

test('a chain that is nothing but a cut goes with its start; the last slice of the newest chain always stays', async () => {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const old = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(archive, old, [110, 120]);
  await archive.oplog.addBarrier(old, time(115), 'a barrier');
  const chain = await archive.oplog.startChain({ why: 'it broke', after: time(200), previous: old });
  await writeSlices(archive, chain, [210, 220]);
  const { full } = await cutOplog(archive.parts, async () => () => false);
  const { slices, chains } = await emptyCuts(archive.parts, full);
  assert.deepEqual([slices, chains], [3, 1]);
  assert.deepEqual((await archive.oplog.chains()).chains.map(({ id }) => id), [chain]);
  assert.deepEqual([...storage.objects.keys()].filter((name) => name.includes(old)), []);
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ isCut }) => isCut), [true, false]);
  await writeSlices(archive, chain, [230]);
  await requireSound(archive, 'afterwards');
});

test('a retained slice is not cut, and the plan says until when; later it goes', async () => {
  let now = Date.now();
  const storage = memoryStorage(() => now, { days: 3, mode: null });
  const archive = await openTestArchive(storage);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(archive, chain, [110, 120]);
  now += 2 * 86_400_000;
  await writeSlices(archive, chain, [130, 140]);
  now += 1.5 * 86_400_000;
  const plan = await cutOplog(archive.parts, async () => () => false);
  assert.deepEqual(plan.goes.map(({ after, through }) => [after.t, through.t]), [[100, 110]], 'the one that a later writer took over is retained anew');
  assert.ok(plan.retainedBytes > 0 && plan.retainedUntilMs !== null && plan.retainedUntilMs > now);
  await emptyCuts(archive.parts, plan.full);
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ after, isCut }) => [after.t, isCut]), [[100, true], [110, false], [120, false], [130, false]]);
  now += 10 * 86_400_000;
  await emptyCuts(archive.parts, (await cutOplog(archive.parts, async () => () => false)).full);
  await requireSound(archive, 'afterwards');
  assert.deepEqual((await archive.oplog.slices(chain)).map(({ after, isCut }) => [after.t, isCut]), [[100, true], [130, false]]);
});

test('a damaged slice beside a stretch keeps that stretch, which is told, and nothing else from going', async () => {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const old = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(archive, old, [110, 120, 130, 140]);
  const chain = await archive.oplog.startChain({ why: 'it broke', after: time(200), previous: old });
  await writeSlices(archive, chain, [210, 220, 230]);
  const keptOnly = (_: ClusterTime, through: ClusterTime): boolean => [120, 140, 230].includes(through.t);
  const damaged = [...storage.objects.keys()].filter((name) => name.includes(`${old}/slices/`)).sort()[1]!;
  storage.objects.get(damaged)!.bytes.fill(0);
  const { goes, full, stays } = await cutOplog(archive.parts, async () => keptOnly);
  const told = (stretches: readonly { after: ClusterTime; through: ClusterTime }[]): number[][] => stretches.map(({ after, through }) => [after.t, through.t]);
  assert.deepEqual([told(goes), told(full), told(stays)], [[[200, 220]], [[200, 220]], [[100, 110], [120, 130]]]);
  assert.match(stays[0]!.why, /is damaged/);
  assert.deepEqual((await archive.oplog.slices(old)).map(({ isCut }) => isCut), [false, false, false, false]);
});

test('where lists lag, what a point needs that no old list has stays', async (t) => {
  const scene = await openScene(t);
  const { direct, lagging, hold, release } = laggingStorage(memoryStorage());
  const archive = await openTestArchive(direct);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(archive, chain, [110, 120, 130]);
  const host = await openTestArchive(lagging);
  await hold();
  await scene.store(archive, 'p1', { a: Buffer.from('a') }, { checkpoint: at(110), top: time(120, 3) });
  const clock = turnedClock(Date.now());
  const needed = async (): Promise<IsNeeded> => {
    const points = await host.points();
    return (after) => points.some(({ checkpoint }) => compareTimes(checkpoint, after) <= 0);
  };
  // The lists are new when they are looked at again; the lease is renewed later than that.
  const wait = async (ms: number, signal?: AbortSignal): Promise<void> => (ms <= 1000 ? release() : await clock.wait(ms, signal));
  const { goes } = await cutOplog(host.parts, needed, { clock: { ...clock, wait } });
  assert.deepEqual(goes.map(({ after, through }) => [after.t, through.t]), [[100, 110]]);
});

test('a sweep that is at work is not disturbed', async () => {
  const archive = await openTestArchive(memoryStorage());
  const { storage, names, keys } = archive.parts;
  const lease = await takeLease({ storage, names, objectKey: keys.object, clock: systemClock }, 'sweep');
  await assert.rejects(cutOplog(archive.parts, async () => () => false), failsWith(sweepRunning));
  await lease.release();
});

test('whatever is needed, written on, cut and emptied in whatever order, what stays is the same entries and is proved from its start', async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  for (let round = 0; round < 25; round++) {
    const archive = await openTestArchive(memoryStorage());
    const reference = await openTestArchive(memoryStorage());
    let [now, floor] = [100, 0];
    const open = async (): Promise<string[]> => await Promise.all([archive, reference].map(async ({ oplog }) => await oplog.startChain({ why: 'one', after: time(now), previous: null })));
    let [chain, same] = await open();
    const moments: { chain: string; same: string; t: number }[] = [];
    let keeps: [number, number][] = [];
    for (let step = 0; step < 12; step++) {
      const where = `seed ${chance.seed}, round ${round}, step ${step}`;
      if (chance.below(6) === 0) [chain, same] = await open();
      const times = Array.from({ length: chance.below(6) }, () => (now += 1 + chance.below(40_000)));
      await writeSlices(archive, chain!, times);
      await writeSlices(reference, same!, times);
      moments.push(...times.map((one) => ({ chain: chain!, same: same!, t: one })));
      // What is not needed once is never needed again.
      floor = Math.max(floor, now - chance.below(100_000));
      const fresh: [number, number] = [floor, now + 1_000_000];
      keeps = [...keeps.filter(() => chance.below(3) > 0).map(([from, to]): [number, number] => [from, Math.min(to, now, from + chance.below(50_000))]), fresh];
      const isNeeded = (after: ClusterTime, through: ClusterTime): boolean => keeps.some(([from, to]) => through.t >= from && after.t <= to);
      const { full } = await cutOplog(archive.parts, async () => isNeeded);
      await emptyCuts(archive.parts, full.filter(() => chance.below(2) === 0));
      await requireSound(archive, where);
      for (const { id } of (await archive.oplog.chains()).chains) {
        const twin = moments.find((one) => one.chain === id)?.same;
        for (const { after, through, isCut } of await archive.oplog.slices(id)) {
          if (!isCut && twin !== undefined) assert.ok((await readAll(archive, id, after, through)).equals(await readAll(reference, twin, after, through)), where);
        }
      }
      const there = new Set((await archive.oplog.chains()).chains.map(({ id }) => id));
      for (const one of moments) {
        const slice = (there.has(one.chain) ? await archive.oplog.slices(one.chain) : []).find(({ after, through }) => compareTimes(after, at(one.t)) < 0 && compareTimes(at(one.t), through) <= 0);
        if (slice !== undefined && !slice.isCut) continue;
        assert.ok(!keeps.some(([from, to]) => one.t >= from && one.t <= to), `${where}: ${one.t} is needed and gone`);
      }
    }
  }
});
