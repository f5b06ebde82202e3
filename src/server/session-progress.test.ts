import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openProgress, openSharedProgress } from './session-progress.ts';

const at = (atMs: number, processed: number, expected: number | null = 10_000) => ({ kind: 'progress' as const, atMs, processed, read: 0, transferred: 0, stored: 0, expected, bottleneck: null });

test('the rate is that of the last ten seconds, and the time left follows from it', () => {
  const progress = openProgress();
  assert.deepEqual([progress.add(at(0, 0)).bytesPerSecond, progress.add(at(100, 50)).secondsLeft], [null, null]);
  assert.equal(progress.add(at(1_000, 1_000)).bytesPerSecond, 1_000);
  assert.equal(progress.add(at(2_000, 2_000)).secondsLeft, 8);
  for (let second = 3; second <= 30; second++) progress.add(at(second * 1_000, 2_000 + (second - 2) * 100));
  assert.ok(Math.abs((progress.add(at(31_000, 4_900)).bytesPerSecond ?? 0) - 100) < 1);
});

test('work that stands still has no time left to tell, nor has work of unknown size; a new task counts from the beginning', () => {
  const progress = openProgress();
  progress.add(at(0, 500));
  assert.equal(progress.add(at(5_000, 500)).secondsLeft, null);
  assert.equal(progress.add(at(6_000, 900, null)).secondsLeft, null);
  assert.equal(progress.add(at(7_000, 10)).bytesPerSecond, null);
});

test('tasks that run side by side are shown as one work', () => {
  const shared = openSharedProgress();
  const [one, two] = [shared.of('db1'), shared.of('db2')];
  one.add(at(0, 100));
  const both = two.add(at(100, 50));
  assert.deepEqual([both.processed, both.expected], [150, 20_000]);
  assert.equal(one.add(at(200, 300)).processed, 350);
});
