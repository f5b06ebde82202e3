import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { noise, openScene, setId, type Scene } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, readAll, requireSound, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { systemClock } from '../base/clock.ts';
import { openArchive, type Archive } from './archive.ts';
import { copyOplog } from './copy-oplog.ts';
import { copyPoint } from './copy-point.ts';
import { mergeOplog, removeMerged } from './oplog-merge.ts';
import { repairArchive, type RepairReport } from './repair.ts';
import { makeArchive } from './repository.ts';

const first = { a: noise(1_300_000, 5), b: Buffer.alloc(200_000, 'some text that compresses') };
const second = { a: Buffer.concat([first.a.subarray(0, 600_000), noise(70_000, 6), first.a.subarray(670_000)]), b: first.b };

async function openUnder(storage: MemoryStorage, fill: number): Promise<Archive> {
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

const namesOf = (storage: MemoryStorage, kind: string): string[] => [...storage.objects.keys()].filter((name) => name.startsWith(`sets/${setId}/${kind}/`)).sort();

function flip(storage: MemoryStorage, name: string, share: number): void {
  const { bytes } = storage.objects.get(name)!;
  bytes[Math.floor(share * (bytes.length - 1))]! ^= 1;
}

type Pair = { readonly scene: Scene; readonly main: MemoryStorage; readonly other: MemoryStorage; readonly chain: string };

/** Two points and a chain, and a copy of all that in another repository. */
async function openPair(t: TestContext): Promise<Pair> {
  const pair = { scene: await openScene(t), main: memoryStorage(), other: memoryStorage() };
  const [source, target] = [await openUnder(pair.main, 1), await openUnder(pair.other, 2)];
  const now = Math.floor(systemClock.now() / 1000);
  const at = (t: number) => ({ t: now + t, i: 1, term: 1 });
  const chain = await source.oplog.startChain({ why: 'the first', after: at(0), previous: null });
  const writer = await source.oplog.openChainWriter(chain, 'a:1');
  for (const end of [at(1), at(2), at(3)]) {
    writer.append({ first: end, last: end, count: 1, bytes: noise(5000, end.t) });
    await writer.flush();
  }
  await writer.close();
  await source.oplog.addBarrier(chain, at(2), 'a barrier');
  await copyOplog({ source: source.parts, target: target.parts, from: at(0) }, (await source.oplog.chains()).chains);
  for (const [id, contents] of [['p1', first], ['p2', second]] as const) {
    const { point } = await pair.scene.store(source, id, contents);
    await copyPoint({ source, target, level: 'fast', workers: 0 }, point, { id: `${id}-bb`, copiedFrom: { repository: 'aa', repositoryName: 'main', point: id } });
  }
  return { ...pair, chain };
}

async function repair(main: MemoryStorage, other: MemoryStorage | undefined): Promise<RepairReport> {
  const from = other === undefined ? undefined : { archive: await openUnder(other, 2), repository: 'bb', name: 'second' };
  return await repairArchive(await openUnder(main, 1), from, { workers: 0 });
}

async function requireWhole({ scene }: Pair, main: MemoryStorage): Promise<void> {
  const archive = await openUnder(main, 1);
  await scene.requireExact(archive, 'p1', first);
  await scene.requireExact(archive, 'p2', second);
}

test('a flipped bit anywhere in a pack is healed from the copy, and the report says what healed it and which points are whole again', async (t) => {
  const pair = await openPair(t);
  for (const name of namesOf(pair.main, 'packs')) {
    for (const share of [0, 0.3, 0.7, 0.97, 1]) {
      const main = pair.main.copy();
      flip(main, name, share);
      const before = await (await openUnder(main.copy(), 1)).check({ readDataPercent: 100, workers: 0 });
      const report = await repair(main, pair.other);
      assert.deepEqual([report.ok, report.stillHurt], [true, []], `${name} at ${share}: ${JSON.stringify(report.objects)}`);
      assert.deepEqual(report.wholeAgain, before.hurtPoints);
      assert.ok(report.objects.some(({ object, healed }) => object === name && healed));
      if (before.hurtPoints.length > 0) assert.ok(report.objects.some(({ object, by }) => object.startsWith('chunk ') && by === 'copied again from second'));
      await requireWhole(pair, main);
      assert.deepEqual(await repair(main, undefined).then(({ wholeAgain, stillHurt }) => [wholeAgain, stillHurt]), [[], []]);
    }
  }
});

test('all packs gone, a manifest unreadable, the index damaged: everything comes back from the copy, and the copy from its source', async (t) => {
  const pair = await openPair(t);
  const main = pair.main.copy();
  for (const name of namesOf(main, 'packs')) main.objects.delete(name);
  flip(main, namesOf(main, 'points')[0]!, 0.5);
  flip(main, namesOf(main, 'index')[0]!, 0.5);
  const report = await repair(main, pair.other);
  assert.deepEqual([report.ok, report.stillHurt, report.wholeAgain], [true, [], ['p1', 'p2']], JSON.stringify(report.objects));
  assert.ok(report.objects.some(({ object, by }) => object.endsWith('/points/p1') && by === 'made anew from p1-bb in second'));
  await requireWhole(pair, main);

  const other = pair.other.copy();
  flip(other, namesOf(other, 'points')[0]!, 0.5);
  const back = await repairArchive(await openUnder(other, 2), { archive: await openUnder(pair.main, 1), repository: 'aa', name: 'main' }, { workers: 0 });
  assert.equal(back.ok, true);
  assert.deepEqual((await (await openUnder(other, 2)).point('p1-bb')).copiedFrom, { repository: 'aa', repositoryName: 'main', point: 'p1' });
});

test('starts, barriers and slices come back from the same chain, each proved to continue what stands before it', async (t) => {
  const pair = await openPair(t);
  const whole = await openUnder(pair.main, 1);
  for (const name of [...namesOf(pair.main, 'chains'), ...namesOf(pair.main, 'oplog').filter((one) => !one.endsWith('/writer'))]) {
    for (const harm of ['flip', 'gone'] as const) {
      if (harm === 'gone' && !name.includes('/slices/')) continue;
      const main = pair.main.copy();
      if (harm === 'flip') flip(main, name, 0.6);
      else main.objects.delete(name);
      // The last slice may as well never have been written.
      const isLast = name === namesOf(pair.main, 'oplog').filter((one) => one.includes('/slices/')).at(-1);
      const report = await repair(main, pair.other);
      assert.deepEqual([report.ok, report.hurtOplog], [true, []], `${harm} ${name}: ${JSON.stringify(report.objects)}`);
      const archive = await openUnder(main, 1);
      assert.deepEqual(await archive.oplog.barriers(pair.chain), await whole.oplog.barriers(pair.chain));
      if (!(isLast && harm === 'gone')) assert.deepEqual((await archive.oplog.slices(pair.chain)).map(({ through }) => through), (await whole.oplog.slices(pair.chain)).map(({ through }) => through), `${harm} ${name}`);
      assert.equal((await archive.check({ readDataPercent: 100, workers: 0 })).ok, true);
    }
  }
});

test('without a copy, or where the copy has not got it either, nothing is said to be whole that is not, and the next backup heals', async (t) => {
  const pair = await openPair(t);
  for (const withOther of [false, true]) {
    const [main, other] = [pair.main.copy(), pair.other.copy()];
    for (const storage of [main, other]) for (const name of namesOf(storage, 'packs')) for (let share = 0.05; share < 1; share += 0.1) flip(storage, name, share);
    const report = await repair(main, withOther ? other : undefined);
    assert.deepEqual([report.ok, report.wholeAgain, report.stillHurt], [false, [], ['p1', 'p2']]);
    assert.ok(report.objects.some(({ object, healed, by }) => object.startsWith('chunk ') && !healed && /the next backup reads it again/.test(by)));
    await pair.scene.store(await openUnder(main, 1), 'p3', second);
    assert.deepEqual((await (await openUnder(main, 1)).check({ readDataPercent: 100, workers: 0 })).hurtPoints, ['p1']);
  }
});

test('a check and a repair that go on say so in every step, whether they read or not', async (t) => {
  const pair = await openPair(t);
  let looks = 0;
  await (await openUnder(pair.main, 1)).check({ readDataPercent: 0, workers: 0, onProgress: () => void looks++ });
  assert.ok(looks > 3, `a check of the structure said ${looks} times that it goes on`);
  for (const name of namesOf(pair.main, 'packs')) flip(pair.main, name, 0.3);
  flip(pair.main, namesOf(pair.main, 'points')[0]!, 0.5);
  flip(pair.main, namesOf(pair.main, 'oplog').find((name) => name.includes('/slices/'))!, 0.9);
  const said: (string | { read: number; stored: number })[] = [];
  const from = { archive: await openUnder(pair.other, 2), repository: 'bb', name: 'second' };
  const report = await repairArchive(await openUnder(pair.main, 1), from, { workers: 0, onStep: (step) => void said.push(step), onProgress: (bytes) => void said.push(bytes) });
  assert.deepEqual([report.stillHurt, report.storedBytes > 0], [[], true]);
  const steps = said.flatMap((one, at) => (typeof one === 'string' ? [at] : []));
  assert.ok(steps.length >= 4, JSON.stringify(said.filter((one) => typeof one === 'string')));
  for (const at of steps) assert.equal(typeof said[at + 1], 'object', `${String(said[at])}: nothing was said of how it goes on`);
  const read = said.flatMap((one) => (typeof one === 'string' ? [] : [one.read]));
  assert.ok(read.every((bytes, at) => at === 0 || bytes >= read[at - 1]!), 'what was read is counted through all looks');
});

test('a slice, merged ones or a missing stretch are healed from an archive with other borders, and nothing is put where another chain stands', async () => {
  const [main, other] = [memoryStorage(), memoryStorage()];
  const [source, target] = [await openUnder(main, 1), await openUnder(other, 2)];
  const day = Math.floor(systemClock.now() / 86_400_000 - 3) * 86_400;
  const chain = await source.oplog.startChain({ why: 'the first', after: time(day), previous: null });
  await writeSlices(source, chain, [1, 2, 3, 4, 5, 6, 7, 8].map((t) => day + 10 * t), 'x'.repeat(2000));
  const copied = async (): Promise<void> => void (await copyOplog({ source: source.parts, target: target.parts, from: time(0) }, (await source.oplog.chains()).chains));
  await copied();
  const merge = async (archive: Archive, few: number): Promise<void> => void (await removeMerged(archive.parts, (await mergeOplog(archive.parts, { limits: { groupBytes: few, fewest: 2 } })).full));
  await merge(target, 1 << 20);
  const unmerged = main.copy();
  const slices = namesOf(main, 'oplog').filter((name) => name.includes('/slices/'));
  const bytes = main.objects.get(slices[0]!)!.bytes.length;
  await merge(source, 3 * bytes + 20);
  const whole = await readAll(target, chain, time(day), time(day + 80, 3));
  const harms: ((storage: MemoryStorage, name: string) => void)[] = [(storage, name) => flip(storage, name, 0.9), (storage, name) => flip(storage, name, 0.1), (storage, name) => void storage.objects.delete(name)];
  for (const before of [unmerged, main]) {
    const names = namesOf(before, 'oplog').filter((name) => name.includes('/slices/'));
    for (const [from, count] of [[0, 1], [1, 1], [1, 2]] as const) {
      for (const harm of harms) {
        const hurt = before.copy();
        for (const name of names.slice(from, from + count)) harm(hurt, name);
        const report = await repair(hurt, other);
        const where = `${names.length} slices, ${count} from ${from}, harm ${harms.indexOf(harm)}`;
        assert.deepEqual([report.ok, report.hurtOplog], [true, []], `${where}: ${JSON.stringify(report.objects)}`);
        const archive = await openUnder(hurt, 1);
        await requireSound(archive, where);
        assert.ok(whole.equals(await readAll(archive, chain, time(day), time(day + 80, 3))), where);
      }
    }
  }
  const foreign = memoryStorage();
  const { parts } = await openUnder(foreign, 2);
  await copyOplog({ source: source.parts, target: parts, from: time(0) }, (await source.oplog.chains()).chains);
  const hurt = unmerged.copy();
  for (const name of [...foreign.objects.keys()]) if (name.includes('/slices/')) foreign.objects.delete(name);
  const writer = await (await openUnder(foreign, 2)).oplog.openChainWriter(chain, 'a:1');
  writer.append(batchOf([5, 10, 15, 20, 25, 30, 40, 80].map((t) => time(day + t, 3))));
  await writer.flush();
  await writer.close();
  flip(hurt, slices[1]!, 0.9);
  const report = await repair(hurt, foreign);
  assert.deepEqual([report.ok, report.hurtOplog.length], [false, 1], JSON.stringify(report.objects));
});
