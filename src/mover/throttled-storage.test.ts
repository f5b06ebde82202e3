import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { throttledStorage } from './throttled-storage.ts';

const wholeDay = { from: '00:00', to: '00:00' };

test('what is read and written of a share or a bucket goes no faster than its limits, and comes whole', async () => {
  const clock = turnedClock();
  const waits: number[] = [];
  const counted = { ...clock, wait: async (ms: number) => await Promise.resolve(void waits.push(ms)) };
  const storage = throttledStorage(memoryStorage(), [{ mbitPerSecond: 8, ...wholeDay }], { clock: counted });
  await storage.put('a/one', Buffer.alloc(1_000_000, 1), 'new');
  assert.deepEqual(waits, [], 'the first one finds an empty line');
  const writer = await storage.create('a/two');
  await writer.append(Buffer.alloc(500_000, 2));
  await writer.commit();
  assert.deepEqual(waits, [1_000], 'a megabyte takes a second');
  assert.equal((await storage.read('a/two')).length, 500_000);
  assert.equal((await storage.read('a/one', { from: 10, bytes: 20 }))[0], 1);
  assert.ok(waits.length >= 3 && waits.at(-1)! > 1_500, String(waits));
});
