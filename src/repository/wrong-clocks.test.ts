/** Leases and signs of holders whose clock was ahead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, openScene, openTestArchive } from '../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import type { Clock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import { chainBusy, leaseLost, pointMissing, sweepRunning } from './failures.ts';
import { holdersOf } from './holders.ts';
import { leaseMs, listLeases, takeLease } from './lease.ts';
import { openOplogArchive } from './oplog-archive.ts';
import { cutOplog } from './oplog-trim.ts';
import { readRetired } from './retired.ts';
import { sealObject } from './sealed-object.ts';
import { sweepArchive } from './sweep.ts';

const minute = 60_000;
const hour = 60 * minute;
const year = 365 * 24 * hour;
const elsewhere = { boot: 'another boot', pidSpace: 'pid:[1]', pid: 4242, started: '1' };

/** `here`: the clock of this machine, and of the storage unless a test sets times of objects. */
async function openPlace() {
  const here = turnedClock();
  const storage = memoryStorage(here.now);
  const archive = await openTestArchive(storage);
  const { names, keys } = archive.parts;
  /** What somebody left, or renews, whose clock is ahead; `writtenMs`: when, by the storage's. */
  const leave = async (kind: 'writer' | 'sweep', aheadMs: number, writtenMs: number): Promise<string> => {
    const name = names.lease(kind, 'f'.repeat(24));
    const startedMs = here.now() + aheadMs;
    await storage.put(name, sealObject(keys.object, name, { startedMs, untilMs: startedMs + leaseMs, holder: elsewhere }), 'replace');
    storage.objects.get(name)!.modifiedMs = writtenMs;
    return name;
  };
  const sweep = async () => await sweepArchive(archive.parts, { clock: here, waitMs: 0 });
  return { here, storage, archive, leave, sweep };
}

const turned = (clock: Clock, aheadMs: number): Clock => ({ ...clock, now: () => clock.now() + aheadMs, monotonicMs: () => clock.monotonicMs() });
const failsWith = (maker: { code: string }) => (error: unknown) => isFailure(error, maker) || assert.fail(String(error));

test('a lease that was left by a clock years ahead holds nobody up: neither a sweep, nor what tends the oplog, nor who takes the repository over', async (t) => {
  for (const kind of ['sweep', 'writer'] as const) {
    for (const writtenAgoMs of [-11 * year, 20 * minute]) {
      const { here, storage, archive, leave, sweep } = await openPlace();
      const scene = await openScene(t);
      await scene.store(archive, 'p1', { 'a.wt': noise(100_000, 1) });
      await archive.deletePoint('p1');
      const name = await leave(kind, 11 * year, here.now() - writtenAgoMs);
      assert.deepEqual(await holdersOf(archive.parts, here), [], kind);
      await cutOplog(archive.parts, async () => () => true, { clock: here });
      assert.ok(!storage.objects.has(name));
      await leave(kind, 11 * year, here.now() - writtenAgoMs);
      assert.equal((await sweep()).deletedPacks, 1, kind);
    }
  }
});

test('a lease of a clock that is ahead counts for as long as it is written again, and one of a clock that is a little ahead by its own word', async () => {
  const { here, archive, leave, sweep } = await openPlace();
  for (const [aheadMs, agoMs] of [[5 * hour, minute], [30 * minute, 20 * minute], [11 * year, 15 * minute]] as const) {
    await leave('sweep', aheadMs, here.now() - agoMs);
    await assert.rejects(sweep(), failsWith(sweepRunning));
    assert.deepEqual((await holdersOf(archive.parts, here)).map(({ what }) => what), ['sweep']);
  }
  await leave('sweep', 5 * hour, here.now() - leaseMs - minute);
  await sweep();
});

test('whoever works on though the lease was taken for a wrong one publishes no point, and a sweep of his deletes nothing', async () => {
  const { here, storage, archive, sweep } = await openPlace();
  const { names, keys } = archive.parts;
  const writer = await archive.openWriter({ level: 'fast', workers: 0 });
  const lease = await takeLease({ storage, names, objectKey: keys.object, clock: turned(here, 2 * year) }, 'sweep');
  // The storage's clock is wrong as well.
  for (const { name } of await listLeases({ storage, names, objectKey: keys.object, clock: here })) {
    const startedMs = here.now() + 2 * year;
    await storage.put(name, sealObject(keys.object, name, { startedMs, untilMs: startedMs + leaseMs, holder: elsewhere }), 'replace');
    storage.objects.get(name)!.modifiedMs = startedMs;
  }
  await sweep();
  await assert.rejects(lease.confirm(), failsWith(leaseLost));
  await assert.rejects(writer.publish({ id: 'p2', checkpoint: { t: 1, i: 1 }, top: time(2), about: {}, files: [] }), failsWith(leaseLost));
  await assert.rejects(archive.point('p2'), failsWith(pointMissing));
  await writer.close();
  await lease.release();
});

test('a writer that finds a retirement nobody can read waits for a sweep whatever its clock says', async () => {
  const { here, storage, archive, leave } = await openPlace();
  await storage.put(archive.parts.names.retired('1'.repeat(24)), Buffer.from('damaged'), 'new');
  await leave('sweep', 11 * year, here.now() + 11 * year);
  await assert.rejects(readRetired(archive.parts, here), failsWith(sweepRunning));
});

test('a sign of a chain that was left by a clock years ahead keeps nobody from the chain, and one that is written again does', async () => {
  for (const [writtenAgoMs, isFresh] of [[-11 * year, false], [minute, false], [5000, true]] as const) {
    const { here, storage, archive } = await openPlace();
    const chain = await archive.oplog.startChain({ why: 'first', after: time(10), previous: null });
    await writeSlices(archive, chain, [20]);
    await openOplogArchive(archive.parts, turned(here, 11 * year)).openChainWriter(chain, 'other');
    storage.objects.get(archive.parts.names.chainWriter(chain))!.modifiedMs = here.now() - writtenAgoMs;
    assert.deepEqual((await holdersOf(archive.parts, here)).map(({ what }) => what), isFresh ? ['oplog'] : []);
    const opening = openOplogArchive(archive.parts, here).openChainWriter(chain, 'own');
    if (isFresh) await assert.rejects(opening, failsWith(chainBusy));
    else {
      const writer = await opening;
      writer.append(batchOf([time(30)]));
      assert.equal((await writer.flush()).t, 30);
      await writer.close();
    }
  }
});
