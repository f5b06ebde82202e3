/** Copies of an oplog that retention shortens on either side. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterTime, Optime } from '../base/cluster-time.ts';
import { openArchive, type Archive } from './archive.ts';
import { copyOplog, type OplogCopied } from './copy-oplog.ts';
import { mergeOplog, removeMerged } from './oplog-merge.ts';
import { cutOplog, emptyCuts, type IsNeeded } from './oplog-trim.ts';
import { makeArchive } from './repository.ts';
import type { Storage } from './storage/storage.ts';
import { setId } from '../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import * as scene from '../../test/kit/oplog-scene.ts';
import { chanceFrom, type Chance } from '../../test/kit/seeded.ts';

const { readAll, requireSound } = scene;

/** Chains are looked through by their days, up to now; the first of these moments is a day's. */
const base = Math.floor(Date.now() / 86_400_000 - 46) * 86_400;
const time = (t: number, i = 1): Optime => scene.time(base + t, i);
const writeSlices = async (archive: Archive, chain: string, moments: readonly number[]): Promise<void> => await scene.writeSlices(archive, chain, moments.map((t) => base + t));

async function openUnder(fill: number): Promise<Archive> {
  const storage = memoryStorage();
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

async function shorten(archive: Archive, isNeeded: IsNeeded): Promise<void> {
  await emptyCuts(archive.parts, (await cutOplog(archive.parts, async () => isNeeded)).full);
}

async function copy(source: Archive, target: Archive, from: ClusterTime = { t: 0, i: 0 }): Promise<OplogCopied> {
  return await copyOplog({ source: source.parts, target: target.parts, from }, (await source.oplog.chains()).chains);
}

/** With limits of chance, so that either side has other borders. */
async function merge(archive: Archive, chance: Chance): Promise<void> {
  const { full } = await mergeOplog(archive.parts, { limits: { groupBytes: 2_000 + chance.below(8_000), fewest: 2 } });
  await removeMerged(archive.parts, full.filter(() => chance.below(4) > 0));
}

const behind = (t: number): IsNeeded => (_, through) => through.t > base + t;
const shown = async (archive: Archive, chain: string): Promise<[number, boolean][]> => (await archive.oplog.slices(chain)).map(({ through, isCut }) => [through.t - base, isCut]);

test('a copy of a shortened oplog has the same gap and is proved; what it had copied before stays', async () => {
  const [source, early, late] = [await openUnder(1), await openUnder(2), await openUnder(3)];
  const chain = await source.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(source, chain, [110, 120]);
  await copy(source, early);
  await writeSlices(source, chain, [130, 140, 150]);
  await shorten(source, behind(140));
  for (const target of [early, late]) {
    assert.deepEqual((await copy(source, target)).damaged, []);
    await requireSound(target, 'the copy');
    assert.ok((await readAll(source, chain, time(140, 3), time(150, 3))).equals(await readAll(target, chain, time(140, 3), time(150, 3))));
  }
  assert.deepEqual(await shown(early, chain), [[110, false], [120, false], [140, true], [150, false]]);
  assert.deepEqual(await shown(late, chain), [[140, true], [150, false]]);
});

test('what is cut from a copy, at its front or the end of an old chain, is not copied again', async () => {
  const [source, target] = [await openUnder(1), await openUnder(2)];
  const old = await source.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(source, old, [110, 120, 130, 140]);
  const chain = await source.oplog.startChain({ why: 'it broke', after: time(150), previous: old });
  await writeSlices(source, chain, [160, 170]);
  await copy(source, target);
  await shorten(target, (after, through) => (after.t <= base + 115 && through.t >= base + 112) || through.t > base + 165);
  const before = await shown(target, old);
  assert.deepEqual(before, [[110, true], [120, false], [140, true]]);
  await writeSlices(source, chain, [180]);
  const { slices, damaged } = await copy(source, target);
  assert.deepEqual([slices, damaged], [1, []]);
  assert.deepEqual(await shown(target, old), before);
  await requireSound(target, 'the copy');
});

test('shortened and merged here and there in any order, a copy stays proved, ends where its source does, and copies nothing twice', async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  for (let round = 0; round < 4; round++) {
    const [source, target, reference] = [await openUnder(1), await openUnder(2), await openUnder(3)];
    let now = 1000;
    let [sourceFloor, targetFloor] = [0, 0];
    let [chain, twin] = ['', ''];
    const twins = new Map<string, string>();
    for (let step = 0; step < 10; step++) {
      const where = `seed ${chance.seed}, round ${round}, step ${step}`;
      if (chain === '' || chance.below(5) === 0) {
        [chain, twin] = [await source.oplog.startChain({ why: 'one', after: time(now), previous: null }), await reference.oplog.startChain({ why: 'one', after: time(now), previous: null })];
        twins.set(chain, twin);
      }
      const times = Array.from({ length: chance.below(5) }, () => (now += 1 + chance.below(50_000)));
      await writeSlices(source, chain, times);
      await writeSlices(reference, twin, times);
      if (chance.below(2) === 0) await merge(source, chance);
      if (chance.below(2) === 0) await shorten(source, behind((sourceFloor = Math.max(sourceFloor, now - chance.below(150_000)))));
      if (chance.below(3) > 0) {
        const from = { t: base + targetFloor, i: 0 };
        assert.deepEqual((await copy(source, target, from)).damaged, [], where);
        if (chance.below(2) === 0) await merge(target, chance);
        if (chance.below(2) === 0) await shorten(target, behind((targetFloor = Math.max(targetFloor, now - chance.below(150_000)))));
        const again = await copy(source, target, { t: base + targetFloor, i: 0 });
        assert.deepEqual([again.slices, again.damaged], [0, []], where);
        const [one, other] = await Promise.all([source, target].map(async ({ oplog }) => (await oplog.slices(chain)).at(-1)?.through));
        assert.deepEqual(other, one, where);
      }
      for (const archive of [source, target]) {
        await requireSound(archive, where);
        for (const { id } of (await archive.oplog.chains()).chains) {
          for (const { after, through, isCut } of await archive.oplog.slices(id)) {
            if (!isCut) assert.ok((await readAll(archive, id, after, through)).equals(await readAll(reference, twins.get(id)!, after, through)), where);
          }
        }
      }
    }
  }
});

test('a copy whose last slice is inside a merged one of its source, or the other way round, goes on behind its own end and carries the same hashes', async () => {
  const limits = { groupBytes: 1 << 20, fewest: 2 };
  const merged = async (archive: Archive): Promise<void> => void (await removeMerged(archive.parts, (await mergeOplog(archive.parts, { limits })).full));
  const [source, target] = [await openUnder(1), await openUnder(2)];
  const chain = await source.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(source, chain, [110, 120, 130]);
  await copy(source, target);
  await writeSlices(source, chain, [140, 150, 160]);
  await merged(source);
  assert.deepEqual(await shown(source, chain), [[150, false], [160, false]]);
  const report = await copy(source, target);
  assert.deepEqual([report.slices, report.damaged], [2, []]);
  assert.deepEqual(await shown(target, chain), [[110, false], [120, false], [130, false], [150, false], [160, false]]);
  await merged(target);
  await writeSlices(source, chain, [170]);
  assert.deepEqual((await copy(source, target)).damaged, []);
  assert.deepEqual(await shown(target, chain), [[130, false], [150, false], [160, false], [170, false]]);
  await writeSlices(target, chain, [180, 190]);
  await merged(target);
  // The other way: what the target has now is copied back, and onward into a third one.
  const third = await openUnder(3);
  for (const to of [source, third]) {
    assert.deepEqual((await copy(target, to)).damaged, []);
    assert.deepEqual((await copy(target, to)).slices, 0);
  }
  const whole = await readAll(target, chain, time(100), time(190, 3));
  for (const archive of [source, target, third]) {
    await requireSound(archive, 'a copy');
    assert.ok(whole.equals(await readAll(archive, chain, time(100), time(190, 3))));
  }
});

test('a chain that is another one inside a merged slice is told, whatever its ends are', async () => {
  const [source, target] = [await openUnder(1), await openUnder(2)];
  const chain = await source.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(source, chain, [110, 120]);
  await copy(source, target);
  const writer = await target.oplog.openChainWriter(chain, 'a:1');
  writer.append(scene.batchOf([time(125), time(130, 2)]));
  await writer.flush();
  await writer.close();
  await writeSlices(source, chain, [130, 140, 150]);
  await removeMerged(source.parts, (await mergeOplog(source.parts, { limits: { groupBytes: 1 << 20, fewest: 2 } })).full);
  const { slices, damaged } = await copy(source, target);
  assert.deepEqual([slices, damaged.length], [0, 1]);
  assert.match(damaged[0]!.what, /the target's chain is another one/);
});

test('a copy that has slices in its list which were merged meanwhile lists again and goes on', async () => {
  const now = memoryStorage();
  const { key } = await makeArchive(now, Buffer.alloc(32, 1), setId, 'rs0');
  const [source, target] = [await openArchive(now, setId, key), await openUnder(2)];
  const chain = await source.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await writeSlices(source, chain, [110, 120, 130, 140, 150]);
  const then = now.copy();
  await removeMerged(source.parts, (await mergeOplog(source.parts, { limits: { groupBytes: 1 << 20, fewest: 2 } })).full);
  let isOld = true;
  const lagging: Storage = {
    ...now,
    list: (prefix) => (isOld ? then : now).list(prefix),
    async read(name, range) {
      if (name.includes('/slices/') && !now.objects.has(name)) isOld = false;
      return await now.read(name, range);
    },
  };
  const seen = await openArchive(lagging, setId, key);
  assert.deepEqual((await copy(seen, target)).damaged, []);
  assert.equal(isOld, false);
  assert.ok((await readAll(source, chain, time(100), time(150, 3))).equals(await readAll(target, chain, time(100), time(150, 3))));
});
