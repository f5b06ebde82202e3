import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, type Clock } from '../base/clock.ts';
import { openPaces } from './paces.ts';
import { bytesPerMs, openThrottle } from './throttle.ts';

/** A clock that goes on exactly by what is waited for. */
function waitedClock(): Clock & { waitedMs: number } {
  const clock = {
    waitedMs: 0,
    now: () => clock.waitedMs,
    monotonicMs: () => clock.waitedMs,
    wait: async (ms: number) => void (clock.waitedMs += ms),
  };
  return clock;
}

const at = (time: string): Date => new Date(`2026-05-01T${time}:00`);
const day = { mbitPerSecond: 8, from: '08:00', to: '18:00' };
const night = { mbitPerSecond: 80, from: '22:00', to: '06:00' };

test('a limit holds within its hours, over midnight too, and the lowest of several holds', () => {
  assert.equal(bytesPerMs([day, night], at('08:00')), 1000);
  assert.equal(bytesPerMs([day, night], at('18:00')), undefined);
  assert.equal(bytesPerMs([day, night], at('23:30')), 10_000);
  assert.equal(bytesPerMs([day, night], at('05:59')), 10_000);
  assert.equal(bytesPerMs([day, { mbitPerSecond: 4, from: '00:00', to: '00:00' }], at('12:00')), 500);
});

test('what all takers have had never exceeds the limit by more than a quarter of a second', async () => {
  const clock = waitedClock();
  const throttle = openThrottle([{ mbitPerSecond: 8, from: '00:00', to: '00:00' }], clock);
  let taken = 0;
  for (const bytes of [100_000, 1_000_000, 1, 50_000, 300_000, 2_000_000]) {
    await throttle.take(bytes);
    assert.ok(taken <= (clock.waitedMs + 250) * 1000 + 1_000, `${taken} bytes after ${clock.waitedMs} ms`);
    taken += bytes;
  }
  assert.ok(clock.waitedMs > 1_000);
});

test('whose limits are many waits for the strictest, and tasks that share a line share its rate', async () => {
  const clock = waitedClock();
  const pace = openPaces(clock);
  const always = { from: '00:00', to: '00:00' };
  const one = openThrottle([{ mbitPerSecond: 80, ...always, of: 'host' }, { mbitPerSecond: 8, ...always, of: 'policy a' }], clock, { pace });
  for (let n = 0; n < 10; n++) await one.take(1_000_000);
  assert.ok(clock.waitedMs >= 10_000 - 250 - 20 && clock.waitedMs <= 10_000, `a policy at 1 MB/s: ${clock.waitedMs} ms`);

  const [left, right] = [openThrottle([{ mbitPerSecond: 8, ...always, of: 'repository r' }], clock, { pace }), openThrottle([{ mbitPerSecond: 8, ...always, of: 'repository r' }], clock, { pace })];
  const beganMs = clock.waitedMs;
  for (let n = 0; n < 5; n++) {
    await left.take(1_000_000);
    await right.take(1_000_000);
  }
  assert.ok(clock.waitedMs - beganMs >= 9_000 - 250, `ten megabytes at 1 MB/s: ${clock.waitedMs - beganMs} ms`);
});

test('who waits has asked for no more than the piece that is next', async () => {
  const asked: number[] = [];
  const throttle = openThrottle([{ mbitPerSecond: 8, from: '00:00', to: '00:00', of: 'host' }], systemClock, { pace: async (_of, bytes) => await new Promise(() => asked.push(bytes)) });
  for (const bytes of [3, 2, 1]) void throttle.take(bytes);
  await new Promise(setImmediate);
  assert.deepEqual(asked, [3]);
});

test('a small reader is not starved by those who write much in the same line, and who is given up leaves the line to others', async () => {
  const pace = openPaces(systemClock);
  const line = { from: '00:00', to: '00:00', of: 'repository r' };
  const over = new AbortController();
  const bulk = Array.from({ length: 7 }, () => openThrottle([{ mbitPerSecond: 100, ...line }], systemClock, { pace, signal: over.signal }));
  const writing = bulk.map(async (each) => {
    for (;;) await each.take(8 << 20);
  });
  const reader = openThrottle([{ mbitPerSecond: 100, ...line }], systemClock, { pace });
  const reads = 5;
  const fromMs = systemClock.monotonicMs();
  for (let n = 0; n < reads; n++) await reader.take(32 << 10);
  const eachMs = (systemClock.monotonicMs() - fromMs) / reads;
  assert.ok(eachMs < 1_000, `${eachMs} ms a read, of eight in a line of turns of 10 ms`);
  over.abort(new Error('killed'));
  await Promise.allSettled(writing);
  const slow = openThrottle([{ mbitPerSecond: 0.1, ...line }], systemClock, { pace, signal: over.signal });
  await slow.take(1 << 20).catch(() => {});
  const [afterMs] = [systemClock.monotonicMs()];
  await reader.take(32 << 10);
  assert.ok(systemClock.monotonicMs() - afterMs < 3_000, 'no more than a turn of one that is over');
});

test('without a limit nobody waits', async () => {
  const clock = waitedClock();
  await openThrottle([], clock).take(1e12);
  assert.equal(clock.waitedMs, 0);
});

test('whatever their sizes, those who wait pass in the order in which they came', async () => {
  const throttle = openThrottle([{ mbitPerSecond: 800, from: '00:00', to: '00:00' }], systemClock);
  const passed: number[] = [];
  const sizes = Array.from({ length: 3_000 }, (_, k) => ((k * 7_919) % 23) * 1_000 + 1);
  await throttle.take(40_000_000);
  await Promise.all(sizes.map(async (bytes, k) => {
    await throttle.take(bytes);
    passed.push(k);
  }));
  assert.deepEqual(passed, [...sizes.keys()]);
});
