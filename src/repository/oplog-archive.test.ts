import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { compareTimes, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { until } from '../base/deadline.ts';
import { isFailure, type FailureMaker } from '../base/failure.ts';
import { openTestArchive } from '../../test/kit/archive-scene.ts';
import { batchOf, entry, time } from '../../test/kit/oplog-scene.ts';
import { laggingStorage } from '../../test/kit/lagging-storage.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { openArchive, type OplogArchive, type OplogBatch } from './archive.ts';
import { chainBusy, chainMissing, chainTaken, oplogDamaged, oplogGap, oplogNotFollowing } from './failures.ts';
import { randomKey } from './keys.ts';
import { openOplogArchive } from './oplog-archive.ts';
import { makeArchive } from './repository.ts';
import { openDirectory } from './storage/directory.ts';

const setId = 'b'.repeat(24);

async function openOplog(t: TestContext): Promise<{ root: string; oplog: OplogArchive }> {
  const root = await mkdtemp(join(tmpdir(), 'tm-repository-'));
  t.after(async () => await rm(root, { recursive: true }));
  const storage = await openDirectory(root);
  const { key } = await makeArchive(storage, randomKey(), setId, 'rs0');
  return { root, oplog: (await openArchive(storage, setId, key)).oplog };
}

async function collect(read: AsyncIterable<OplogBatch>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of read) parts.push(bytes);
  return Buffer.concat(parts);
}

const failsWith = (maker: FailureMaker<never> | { code: string }) => (error: unknown) => isFailure(error, maker) || assert.fail(String(error));

test('entries come back byte for byte, from any moment to any moment, whatever slices and days they are in', async (t) => {
  const { oplog } = await openOplog(t);
  const seed = Number(process.hrtime.bigint() % 1_000_000n);
  t.diagnostic(`seed ${seed}`);
  const step = fc.record({ gap: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 80_000, max: 300_000 })), flush: fc.boolean(), big: fc.boolean() });
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), fc.nat(), fc.nat(), async (steps, from, to) => {
    const start = time(1_700_000_000, 5);
    const chain = await oplog.startChain({ why: 'first', after: start, previous: null });
    const writer = await oplog.openChainWriter(chain, 'n1');
    const entries: Optime[] = [];
    for (const { gap, flush, big } of steps) {
      const last = entries.at(-1) ?? start;
      const next = [gap === 0 ? time(last.t, last.i + 1) : time(last.t + gap), gap === 0 ? time(last.t, last.i + 2) : time(last.t + gap, 2)];
      entries.push(...next);
      writer.append(batchOf(next, big ? 'x'.repeat(600_000) : 'y'));
      if (flush) await writer.flush();
    }
    assert.deepEqual(await writer.flush(), entries.at(-1));
    await writer.close();
    const moments: ClusterTime[] = [start, ...entries];
    const [low, high] = [moments[from % moments.length]!, moments[to % moments.length]!].sort(compareTimes) as [ClusterTime, ClusterTime];
    const expected = entries.filter((at) => compareTimes(at, low) > 0 && compareTimes(at, high) <= 0);
    let count = 0;
    const got: Uint8Array[] = [];
    for await (const part of oplog.read(chain, low, high)) {
      assert.ok(compareTimes(part.first, low) > 0 && compareTimes(part.last, high) <= 0);
      count += part.count;
      got.push(part.bytes);
    }
    assert.equal(count, expected.length);
    const padding = (at: Optime): string => (steps[Math.floor(entries.indexOf(at) / 2)]!.big ? 'x'.repeat(600_000) : 'y');
    assert.ok(Buffer.concat(got).equals(Buffer.concat(expected.map((at) => entry(at, padding(at))))));
    const spans = await oplog.slices(chain);
    assert.deepEqual({ after: spans[0]!.after, through: spans.at(-1)!.through }, { after: { t: start.t, i: start.i }, through: { t: entries.at(-1)!.t, i: entries.at(-1)!.i } });
  });
  await fc.assert(property, { seed, numRuns: 15 });
});

test('a read that the chain does not cover whole is refused before anything is handed out', async (t) => {
  const { root, oplog } = await openOplog(t);
  const chain = await oplog.startChain({ why: 'first', after: time(100), previous: null });
  const writer = await oplog.openChainWriter(chain, 'n1');
  for (const t of [110, 120, 130]) {
    writer.append(batchOf([time(t)]));
    await writer.flush();
  }
  await assert.rejects(collect(oplog.read(chain, time(99), time(120))), failsWith(oplogGap));
  await assert.rejects(collect(oplog.read(chain, time(100), time(131))), failsWith(oplogGap));
  await assert.rejects(collect(oplog.read('nothing', time(100), time(131))), failsWith(chainMissing));
  const folder = join(root, 'sets', setId, 'oplog', chain, 'slices', '0000');
  const middle = (await readdir(folder)).sort()[1]!;
  await rm(join(folder, middle));
  let handed = 0;
  await assert.rejects(async () => {
    for await (const _ of oplog.read(chain, time(100), time(130))) handed += 1;
  }, failsWith(oplogGap));
  assert.equal(handed, 0);
});

test('a batch that does not follow is refused, in time and in term', async (t) => {
  const { oplog } = await openOplog(t);
  const chain = await oplog.startChain({ why: 'first', after: time(100, 1, 3), previous: null });
  const writer = await oplog.openChainWriter(chain, 'n1');
  assert.throws(() => writer.append(batchOf([time(100, 1, 3)])), failsWith(oplogNotFollowing));
  assert.throws(() => writer.append(batchOf([time(101, 1, 2)])), failsWith(oplogNotFollowing));
  writer.append(batchOf([time(101, 1, 3)]));
  assert.throws(() => writer.append(batchOf([time(101, 1, 3)])), failsWith(oplogNotFollowing));
  assert.equal(writer.pendingBytes, entry(time(101, 1, 3)).length);
  assert.deepEqual(writer.through, time(100, 1, 3));
  assert.deepEqual(await writer.flush(), time(101, 1, 3));
  assert.equal(writer.pendingBytes, 0);
});

test('another node is refused while the first writes; the same node goes on where it was killed', async (t) => {
  const { oplog } = await openOplog(t);
  const chain = await oplog.startChain({ why: 'first', after: time(100), previous: null });
  const killed = await oplog.openChainWriter(chain, 'n1');
  killed.append(batchOf([time(110)]));
  await killed.flush();
  await assert.rejects(oplog.openChainWriter(chain, 'n2'), failsWith(chainBusy));
  const again = await oplog.openChainWriter(chain, 'n1');
  assert.deepEqual(again.through, time(110));
  await again.close();
  const other = await oplog.openChainWriter(chain, 'n2');
  assert.deepEqual(other.through, time(110));
});

test('of two writers that got past each other one loses cleanly and the chain stays one', async (t) => {
  const { oplog } = await openOplog(t);
  const chain = await oplog.startChain({ why: 'first', after: time(100), previous: null });
  const one = await oplog.openChainWriter(chain, 'n1');
  const two = await oplog.openChainWriter(chain, 'n1');
  one.append(batchOf([time(110)]));
  two.append(batchOf([time(110), time(111)]));
  await one.flush();
  await assert.rejects(two.flush(), failsWith(chainTaken));
  one.append(batchOf([time(112)]));
  await one.flush();
  assert.equal((await oplog.slices(chain)).length, 2);
  assert.ok((await collect(oplog.read(chain, time(100), time(112)))).equals(Buffer.concat([entry(time(110)), entry(time(112))])));
});

test('a writer that finds an old list begins behind what was acknowledged all the same, and waits for the list', async () => {
  const place = laggingStorage(memoryStorage());
  const { key } = await makeArchive(place.direct, randomKey(), setId, 'rs0');
  const [direct, lagging] = [(await openArchive(place.direct, setId, key)).oplog, (await openArchive(place.lagging, setId, key)).oplog];
  const chain = await direct.startChain({ why: 'first', after: time(100), previous: null });
  await place.hold();
  const first = await direct.openChainWriter(chain, 'n1');
  for (const t of [110, 120]) {
    first.append(batchOf([time(t)]));
    await first.flush();
  }
  await first.close();
  const opening = lagging.openChainWriter(chain, 'n1');
  await until('an old list to be looked at', 10_000, () => (place.oldLists > 0 ? true : undefined));
  place.release();
  const second = await opening;
  assert.deepEqual(second.through, time(120));
  second.append(batchOf([time(130)]));
  await place.hold();
  const flushing = second.flush();
  const looked = place.oldLists;
  await until('an old list to be looked at again', 10_000, () => (place.oldLists > looked ? true : undefined));
  place.release();
  assert.deepEqual(await flushing, time(130));
  assert.ok((await collect(direct.read(chain, time(100), time(130)))).equals(Buffer.concat([110, 120, 130].map((t) => entry(time(t))))));
});

test('a changed, swapped or replaced slice is damage, never other entries', async (t) => {
  const { root, oplog } = await openOplog(t);
  const folder = (chain: string) => join(root, 'sets', setId, 'oplog', chain, 'slices', '0000');
  const make = async () => {
    const chain = await oplog.startChain({ why: 'first', after: time(100), previous: null });
    const writer = await oplog.openChainWriter(chain, 'n1');
    for (const t of [110, 120, 130]) {
      writer.append(batchOf([time(t)], 'some text that is the same in all of them'));
      await writer.flush();
    }
    return chain;
  };
  const damages: Record<string, (chain: string, files: string[]) => Promise<void>> = {
    'a flipped bit': async (chain, files) => {
      const bytes = await readFile(join(folder(chain), files[1]!));
      for (const at of [30, bytes.length - 20]) {
        const copy = Buffer.from(bytes);
        copy[at]! ^= 4;
        await writeFile(join(folder(chain), files[1]!), copy);
        await assert.rejects(collect(oplog.read(chain, time(100), time(130))), failsWith(oplogDamaged));
      }
    },
    'a cut end': async (chain, files) => {
      const bytes = await readFile(join(folder(chain), files[1]!));
      await writeFile(join(folder(chain), files[1]!), bytes.subarray(0, bytes.length - 7));
    },
    'two slices that changed places': async (chain, files) => {
      await rename(join(folder(chain), files[0]!), join(folder(chain), 'aside'));
      await rename(join(folder(chain), files[1]!), join(folder(chain), files[0]!));
      await rename(join(folder(chain), 'aside'), join(folder(chain), files[1]!));
    },
    'a slice of another chain under the right name': async (chain, files) => {
      const other = await make();
      await writeFile(join(folder(chain), files[1]!), await readFile(join(folder(other), files[1]!)));
    },
  };
  for (const [title, damage] of Object.entries(damages)) {
    await t.test(title, async () => {
      const chain = await make();
      await damage(chain, (await readdir(folder(chain))).sort());
      await assert.rejects(collect(oplog.read(chain, time(100), time(130))), failsWith(oplogDamaged));
    });
  }
});

test('barriers are kept in order, once each', async (t) => {
  const { oplog } = await openOplog(t);
  const chain = await oplog.startChain({ why: 'first', after: time(100), previous: null });
  for (const at of [120, 110, 120]) await oplog.addBarrier(chain, time(at), 'the feature compatibility version changed');
  assert.deepEqual((await oplog.barriers(chain)).barriers.map(({ at }) => at.t), [110, 120]);
  const next = await oplog.startChain({ why: 'rolled over', after: time(500), previous: chain });
  assert.deepEqual((await oplog.chains()).chains.map(({ id, start }) => [id, start.previous]), [[chain, null], [next, chain]]);
});

test('a chain that is begun after the clock was turned back, or in the same millisecond, is behind all others; a strange name is heeded by none', async () => {
  const storage = memoryStorage();
  const clock = turnedClock();
  const { parts } = await openTestArchive(storage);
  const oplog = openOplogArchive(parts, clock);
  const start = { why: 'one', after: time(10), previous: null };
  const begun: string[] = [];
  for (const ms of [0, 0, 0, -86_400_000, -1, 0, 90_000_000]) {
    clock.turn(ms);
    begun.push(await oplog.startChain(start));
  }
  assert.deepEqual((await oplog.chains()).chains.map(({ id }) => id), begun);
  assert.deepEqual([...begun].sort(), begun);
  for (const name of ['zz', 'f'.repeat(24)]) await storage.put(parts.names.chainStart(name), Buffer.from('?'), 'new');
  const last = await oplog.startChain(start);
  assert.match(last, /^[0-9a-f]{24}$/);
  assert.ok(begun.at(-1)! < last);
  assert.equal((await oplog.chains()).chains.at(-1)!.id, last);
});
