import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestArchive } from '../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { turnedClock, type TurnedClock } from '../../test/kit/turned-clock.ts';
import { isFailure, type Failure } from '../base/failure.ts';
import { leaseLost, storageFull } from './failures.ts';
import { breakLease, listLeases, takeLease } from './lease.ts';

const minute = 60_000;
const isLost = (error: unknown): error is Failure => isFailure(error, leaseLost);

/** Second by second, so that every wait in between ends in its time and whatever it is for is done. */
async function pass(clock: TurnedClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    clock.turn(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function openScene() {
  const clock = turnedClock();
  const storage = memoryStorage(clock.now);
  const { names, keys } = (await openTestArchive(storage)).parts;
  const full = { is: false, refused: 0 };
  const put: typeof storage.put = async (name, bytes, how) => {
    if (!full.is || !name.includes('/leases/')) return await storage.put(name, bytes, how);
    full.refused += 1;
    throw storageFull({ place: 'memory', object: name });
  };
  const parts = { storage: { ...storage, put }, names, objectKey: keys.object, clock };
  return { clock, storage, parts, full };
}

test('a renewal that failed costs no lease: it is tried again soon, and the next ones come every minute as before', async () => {
  const { clock, parts, full } = await openScene();
  const lease = await takeLease(parts, 'writer');
  await pass(clock, 5 * minute);
  full.is = true;
  await pass(clock, 7 * minute);
  assert.ok(full.refused > 30, `${full.refused} renewals were tried while the disk was full`);
  full.is = false;
  await pass(clock, 15_000);
  await lease.confirm();
  await pass(clock, 60 * minute);
  await lease.confirm();
  const [state] = await listLeases(parts);
  assert.ok(state!.untilMs - clock.now() >= 15 * minute, `it counts for ${state!.untilMs - clock.now()} ms more`);
  await lease.release();
  assert.deepEqual(await listLeases(parts), []);
});

test('a lease that could not be renewed for half of its time is lost while that lasts, and for good where it was broken meanwhile', async () => {
  const { clock, parts, full } = await openScene();
  const [lease, other] = [await takeLease(parts, 'writer'), await takeLease(parts, 'writer')];
  full.is = true;
  await pass(clock, 9 * minute);
  await assert.rejects(lease.confirm(), isLost);
  full.is = false;
  await breakLease(parts.storage, (await listLeases(parts)).find(({ name }) => name === lease.name)!);
  await pass(clock, 15 * minute);
  await assert.rejects(lease.confirm(), isLost);
  await other.confirm();
  assert.deepEqual((await listLeases(parts)).map(({ name }) => name), [other.name]);
  await lease.release();
  await other.release();
});
