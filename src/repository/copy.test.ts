import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { noise, openScene, pointAbout, setId, type Scene } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { readAll, writeSlices } from '../../test/kit/oplog-scene.ts';
import type { Optime } from '../base/cluster-time.ts';
import { systemClock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import { openArchive, type Archive } from './archive.ts';
import { holeId } from './chunk.ts';
import { copyOplog, type OplogCopied } from './copy-oplog.ts';
import { copyPoint } from './copy-point.ts';
import { frameDamaged, leaseLost, oplogDamaged } from './failures.ts';
import { holdersOf } from './holders.ts';
import { breakLease, listLeases } from './lease.ts';
import { makeArchive } from './repository.ts';
import type { Storage } from './storage/storage.ts';

const MiB = 1 << 20;
const from = { repository: 'aa', repositoryName: 'first' };

async function openUnder(storage: Storage, fill: number): Promise<Archive> {
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

type Pair = { readonly scene: Scene; readonly source: MemoryStorage; readonly target: MemoryStorage; readonly read: { bytes: number } };

async function openPair(t: TestContext): Promise<Pair> {
  return { scene: await openScene(t), source: memoryStorage(), target: memoryStorage(), read: { bytes: 0 } };
}

/** The source as a copy opens it, with what is read of it counted. */
function counted({ source, read }: Pair): Storage {
  return {
    ...source,
    read: async (name, range) => {
      const bytes = await source.read(name, range);
      read.bytes += bytes.length;
      return bytes;
    },
  };
}

async function copy(pair: Pair, point: string): Promise<string> {
  const [source, target] = [await openUnder(counted(pair), 1), await openUnder(pair.target, 2)];
  pair.read.bytes = 0;
  const made = await copyPoint({ source, target, workers: 0, level: 'fast', packBytes: MiB }, await source.point(point), { id: `${point}-bb`, copiedFrom: { ...from, point } });
  return made.id;
}

const first = { a: noise(5 * MiB + 70_000, 1), b: Buffer.alloc(300_000, 'some text'), holes: Buffer.alloc(2 * MiB), empty: Buffer.alloc(0) };
const changed = Buffer.from(first.a);
noise(1000, 9).copy(changed, 2 * MiB + 5000);
const second = { ...first, a: changed, c: noise(100_000, 3) };

test('a copy has the bytes, the moments and the origin of its point under another key, and needs nothing of the source', async (t) => {
  const pair = await openPair(t);
  const facts = { checkpoint: { t: 7, i: 1 }, top: { t: 9, i: 3, term: 2 }, about: pointAbout };
  const { point } = await pair.scene.store(await openUnder(pair.source, 1), 'p1', first, facts);
  await copy(pair, 'p1');
  const target = await openUnder(pair.target.copy(), 2);
  const { files, bytes, ...made } = await target.point('p1-bb');
  assert.deepEqual(made, { id: 'p1-bb', ...facts, createdAtMs: point.createdAtMs, copiedFrom: { ...from, point: 'p1' } });
  assert.equal(bytes.processed, files.reduce((sum, file) => sum + file.bytes, 0));
  await pair.scene.requireExact(target, 'p1-bb', first);
  assert.equal((await target.check({ readDataPercent: 100, workers: 0 })).ok, true);
  const ids = (files: readonly { map: readonly string[] }[]): string[] => files.flatMap(({ map }) => map).filter((id) => id !== holeId);
  assert.ok(!ids(files).some((id) => ids(point.files).includes(id)), 'a chunk has another id under another key');
});

test('of a second point only the frames that changed are read, whether the source still has the first or not', async (t) => {
  const pair = await openPair(t);
  await pair.scene.store(await openUnder(pair.source, 1), 'p1', first);
  await copy(pair, 'p1');
  await pair.scene.store(await openUnder(pair.source, 1), 'p2', second);
  const other = { ...pair, source: pair.source.copy(), target: pair.target.copy() };
  const changedBytes = 65_536 + 100_000;
  await copy(pair, 'p2');
  assert.ok(pair.read.bytes < changedBytes + 100_000, `${pair.read.bytes} bytes were read`);
  await (await openUnder(other.source, 1)).deletePoint('p1');
  const packed = [...other.target.objects.keys()].filter((name) => name.includes('/packs/')).length;
  await copy(other, 'p2');
  assert.ok(other.read.bytes < changedBytes + 200_000, `${other.read.bytes} bytes were read without the first point`);
  assert.ok([...other.target.objects.keys()].filter((name) => name.includes('/packs/')).length <= packed + 2);
  for (const { scene, target } of [pair, other]) for (const [id, contents] of [['p1-bb', first], ['p2-bb', second]] as const) await scene.requireExact(await openUnder(target, 2), id, contents);
});

test('a point that is damaged in the source is not copied, and a place that swallows what it is given makes no copy', async (t) => {
  const pair = await openPair(t);
  await pair.scene.store(await openUnder(pair.source, 1), 'p1', first);
  const pack = [...pair.source.objects.keys()].find((name) => name.includes('/packs/'))!;
  const hurt = { ...pair, source: pair.source.copy(), target: pair.target.copy() };
  hurt.source.objects.get(pack)!.bytes[5000]! ^= 1;
  await assert.rejects(copy(hurt, 'p1'), (error) => isFailure(error, frameDamaged));
  assert.deepEqual(await (await openUnder(hurt.target, 2)).points(), []);
  const lying: Storage = {
    ...pair.target,
    create: async (name) => {
      const writer = await pair.target.create(name);
      return {
        ...writer,
        commit: async () => {
          await writer.commit();
          if (name.includes('/packs/')) pair.target.objects.get(name)!.bytes[3000]! ^= 1;
        },
      };
    },
  };
  const [source, target] = [await openUnder(pair.source, 1), await openUnder(lying, 2)];
  const point = await source.point('p1');
  await assert.rejects(copyPoint({ source, target, workers: 0, level: 'fast' }, point, { id: 'x', copiedFrom: { ...from, point: 'p1' } }), (error) => isFailure(error, frameDamaged));
  assert.deepEqual(await target.points(), []);
});

test('a point is copied though the manifest of the one copied before it is damaged in the source', async (t) => {
  const pair = await openPair(t);
  await pair.scene.store(await openUnder(pair.source, 1), 'p1', first);
  await copy(pair, 'p1');
  await pair.scene.store(await openUnder(pair.source, 1), 'p2', second);
  pair.source.objects.get([...pair.source.objects.keys()].find((name) => name.endsWith('/points/p1'))!)!.bytes[40]! ^= 1;
  await copy(pair, 'p2');
  await pair.scene.requireExact(await openUnder(pair.target, 2), 'p2-bb', second);
});

const now = Math.floor(systemClock.now() / 1000);
const time = (t: number, i = 1, term = 1): Optime => ({ t: now - 200_000 + t, i, term });

/** A chain with a slice from each of `ends` to the next one. */
async function writeChain(archive: Archive, why: string, previous: string | null, ends: readonly Optime[]): Promise<string> {
  const chain = await archive.oplog.startChain({ why, after: ends[0]!, previous });
  await extend(archive, chain, ends.slice(1));
  return chain;
}

async function extend(archive: Archive, chain: string, ends: readonly Optime[]): Promise<void> {
  const writer = await archive.oplog.openChainWriter(chain, 'a:1');
  for (const end of ends) {
    writer.append({ first: end, last: end, count: 1, bytes: noise(3000, end.t) });
    await writer.flush();
  }
  await writer.close();
}

async function copyAll(source: Storage, target: Storage, after: Optime | null = null): Promise<OplogCopied> {
  const [a, b] = [await openUnder(source, 1), await openUnder(target, 2)];
  return await copyOplog({ source: a.parts, target: b.parts, from: after }, (await a.oplog.chains()).chains);
}

async function entriesOf(archive: Archive, chain: string, after: Optime, through: Optime): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of archive.oplog.read(chain, after, through)) parts.push(bytes);
  return Buffer.concat(parts);
}

test('chains, gaps and barriers are copied to the byte, each slice with the hash it has, and a later run brings only what is new', async (t) => {
  const { source, target } = await openPair(t);
  const archive = await openUnder(source, 1);
  const ends = [time(0), time(10), time(100_000), time(100_000, 2)];
  const old = await writeChain(archive, 'the first', null, ends);
  await archive.oplog.addBarrier(old, time(10), 'a barrier');
  const chain = await writeChain(archive, 'rolled over', old, [time(150_000), time(150_010)]);
  assert.deepEqual({ ...(await copyAll(source, target, time(0))), bytes: 0 }, { slices: 4, bytes: 0, through: { t: time(150_010).t, i: 1 }, damaged: [] });
  assert.equal((await copyAll(source, target, time(0))).slices, 0);
  await extend(archive, chain, [time(150_020), time(160_000)]);
  assert.equal((await copyAll(source, target, time(0))).slices, 2);
  const copied = await openUnder(target, 2);
  assert.deepEqual(await copied.oplog.chains(), await archive.oplog.chains());
  for (const id of [old, chain]) {
    const spans = async (of: Archive) => (await of.oplog.slices(id)).map(({ after, through }) => ({ after, through }));
    assert.deepEqual(await spans(copied), await spans(archive));
    assert.deepEqual(await copied.oplog.barriers(id), await archive.oplog.barriers(id));
  }
  assert.ok((await entriesOf(copied, old, time(0), time(100_000, 2))).equals(await entriesOf(archive, old, time(0), time(100_000, 2))));
  assert.equal((await copied.check({ readDataPercent: 100, workers: 0 })).ok, true);
  await extend(copied, chain, [time(160_001)]);
  assert.equal((await copied.check({ readDataPercent: 100, workers: 0 })).ok, true, 'a writer goes on behind the copy');
});

test('a chain that ended before the oldest wanted point is left out, and a damaged slice ends the copy of its chain there', async (t) => {
  const { source, target } = await openPair(t);
  const archive = await openUnder(source, 1);
  await writeChain(archive, 'the first', null, [time(0), time(10)]);
  const chain = await writeChain(archive, 'rolled over', null, [time(100), time(110), time(120), time(130)]);
  const name = [...source.objects.keys()].filter((one) => one.includes(`${chain}/slices/`)).sort()[1]!;
  const { bytes } = source.objects.get(name)!;
  bytes[bytes.length - 20]! ^= 1;
  const report = await copyAll(source, target, time(105));
  assert.equal(report.slices, 1);
  assert.match(report.damaged[0]!.what, /block 0 is not what was written/);
  const copied = await openUnder(target, 2);
  assert.deepEqual((await copied.oplog.chains()).chains.map(({ id }) => id), [chain]);
  await assert.rejects(entriesOf(copied, chain, time(100), time(120)), (error) => !isFailure(error, oplogDamaged), 'it shows as not there');
});

test('a slice that its writer took back leads the copy astray for one run at most', async (t) => {
  const { source, target } = await openPair(t);
  const archive = await openUnder(source, 1);
  const chain = await writeChain(archive, 'the first', null, [time(0), time(10), time(20)]);
  await copyAll(source, target, time(0));
  const taken = [...source.objects.keys()].filter((one) => one.includes('/slices/')).sort()[1]!;
  source.objects.delete(taken);
  await extend(archive, chain, [time(15), time(30)]);
  await copyAll(source, target, time(0));
  const copied = await openUnder(target, 2);
  assert.deepEqual((await copied.oplog.slices(chain)).map(({ through }) => through.t - time(0).t), [10, 15, 30]);
  assert.ok((await entriesOf(copied, chain, time(0), time(30))).equals(await entriesOf(archive, chain, time(0), time(30))));
});

const slicesOf = (storage: MemoryStorage, chain: string): string[] => [...storage.objects.keys()].filter((one) => one.includes(`${chain}/slices/`)).sort();

test('a chain that broke off at a damaged slice is told by every run, also when a later one is there, and is copied to its end when the slice is healed', async (t) => {
  const { source, target } = await openPair(t);
  const archive = await openUnder(source, 1);
  const chain = await writeChain(archive, 'the first', null, [time(0), time(10), time(20), time(30)]);
  await writeChain(archive, 'rolled over', chain, [time(100), time(110)]);
  const { bytes } = source.objects.get(slicesOf(source, chain)[1]!)!;
  bytes[bytes.length - 20]! ^= 1;
  for (const slices of [2, 0, 0]) {
    const report = await copyAll(source, target, time(5));
    assert.deepEqual([report.slices, report.damaged.length], [slices, 1]);
  }
  bytes[bytes.length - 20]! ^= 1;
  assert.deepEqual({ ...(await copyAll(source, target, time(5))), bytes: 0 }, { slices: 2, bytes: 0, through: { t: time(110).t, i: 1 }, damaged: [] });
  assert.ok((await entriesOf(await openUnder(target, 2), chain, time(0), time(30))).equals(await entriesOf(archive, chain, time(0), time(30))));
  assert.deepEqual((await copyAll(source, target, time(5))).damaged, []);
  const later = (await archive.oplog.chains()).chains[1]!.id;
  await extend(archive, later, [time(120), time(130), time(140)]);
  source.objects.delete(slicesOf(source, later)[2]!);
  const report = await copyAll(source, target, time(5));
  assert.deepEqual([report.slices, report.damaged.map(({ what }) => /: (.*)$/.exec(what)![1])], [1, ['a slice before it is missing']]);
});

test('a chain that went on elsewhere under the same id is not taken for the one it was, by no run, and nothing of it is written over', async (t) => {
  const { source: lost, target: adopted } = await openPair(t);
  const archive = await openUnder(lost, 1);
  const chain = await writeChain(archive, 'the first', null, [time(0), time(10), time(20)]);
  await copyAll(lost, adopted, time(0));
  await extend(archive, chain, [time(30), time(40)]);
  const other = await openUnder(adopted, 2);
  await extend(other, chain, [time(35), time(45)]);
  const before = slicesOf(lost, chain);
  const back = async (): Promise<OplogCopied> => await copyOplog({ source: other.parts, target: archive.parts, from: time(5) }, (await other.oplog.chains()).chains);
  const isTold = ({ damaged }: OplogCopied): boolean => damaged.length === 1 && damaged[0]!.object.includes(chain) && damaged[0]!.what.includes("the target's chain is another one");
  assert.ok(isTold(await back()));
  await writeChain(other, 'rolled over', chain, [time(100), time(110)]);
  for (const slices of [1, 0]) {
    const report = await back();
    assert.ok(isTold(report));
    assert.equal(report.slices, slices);
  }
  assert.deepEqual(slicesOf(lost, chain), before);
});

test('a slice that is taken back, with nothing in its place yet, is no damage', async (t) => {
  const { source, target } = await openPair(t);
  const chain = await writeChain(await openUnder(source, 1), 'the first', null, [time(0), time(10), time(20)]);
  await copyAll(source, target, time(0));
  source.objects.delete(slicesOf(source, chain)[1]!);
  assert.deepEqual({ ...(await copyAll(source, target, time(0))), through: null }, { slices: 0, bytes: 0, through: null, damaged: [] });
});

test('who copies oplog into an archive is seen there until it ends, and writes nothing more when its lease is broken', async (t) => {
  const { source, target } = await openPair(t);
  await writeChain(await openUnder(source, 1), 'the first', null, [time(0), time(10), time(20), time(30)]);
  const archive = await openUnder(target, 2);
  const seen: string[][] = [];
  const inner: Storage = {
    ...target,
    put: async (name, bytes, how) => {
      if (name.includes('/slices/')) seen.push((await holdersOf(archive.parts, systemClock)).map(({ what }) => what));
      return await target.put(name, bytes, how);
    },
  };
  await copyAll(source, inner, time(0));
  assert.deepEqual([seen, await holdersOf(archive.parts, systemClock)], [[['writer'], ['writer'], ['writer']], []]);
  const other = memoryStorage();
  const breaking: Storage = {
    ...other,
    put: async (name, bytes, how) => {
      const [lease] = name.includes('/slices/') ? await listLeases({ storage: other, names: archive.parts.names, objectKey: (await openUnder(other, 2)).parts.keys.object, clock: systemClock }) : [];
      if (lease !== undefined) await breakLease(other, lease);
      return await other.put(name, bytes, how);
    },
  };
  await assert.rejects(copyAll(source, breaking, time(0)), (error) => isFailure(error, leaseLost));
  assert.equal([...other.objects.keys()].filter((name) => name.includes('/slices/')).length, 1);
});

test('a clock that is days behind the database leaves nothing of the newest chain out', async (t) => {
  const pair = await openPair(t);
  const [source, target] = [await openUnder(pair.source, 1), await openUnder(pair.target, 2)];
  const day = 86_400;
  const start = time(200_000 - 6 * day);
  const chain = await source.oplog.startChain({ why: 'first', after: start, previous: null });
  const ends = [6, 5, 4, 3, 2, 1, 0].map((days) => time(200_000 - days * day + 60).t);
  await writeSlices(source, chain, ends);
  const clock = { ...systemClock, now: () => systemClock.now() - 4 * day * 1000 };
  const { through, damaged } = await copyOplog({ source: source.parts, target: target.parts, from: null, clock }, (await source.oplog.chains()).chains);
  assert.deepEqual([through?.t, damaged], [ends.at(-1), []]);
  const whole = [start, { t: ends.at(-1)!, i: 3 }] as const;
  assert.ok((await readAll(target, chain, ...whole)).equals(await readAll(source, chain, ...whole)));
});
