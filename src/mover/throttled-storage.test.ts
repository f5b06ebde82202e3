import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { systemClock } from '../base/clock.ts';
import { throttledStorage } from './throttled-storage.ts';

const wholeDay = { from: '00:00', to: '00:00' };

test('what is read and written of a share or a bucket goes no faster than its limits, and comes whole', async () => {
  let nowMs = 0;
  const clock = { ...systemClock, now: () => nowMs, monotonicMs: () => nowMs, wait: async (ms: number) => await Promise.resolve(void (nowMs += ms)) };
  const storage = throttledStorage(memoryStorage(), [{ mbitPerSecond: 8, ...wholeDay }], { clock });
  const isAbout = (seconds: number): void => assert.ok(nowMs > seconds * 1_000 - 300 && nowMs < seconds * 1_000 + 1, `${nowMs} ms for ${seconds} MB at 1 MB/s`);
  await storage.put('a/one', Buffer.alloc(1_000_000, 1), 'new');
  isAbout(1);
  const writer = await storage.create('a/two');
  await writer.append(Buffer.alloc(500_000, 2));
  await writer.commit();
  isAbout(1.5);
  assert.equal((await storage.read('a/two')).length, 500_000);
  isAbout(2);
  assert.equal((await storage.read('a/one', { from: 10, bytes: 20 }))[0], 1);
  isAbout(2);
});
