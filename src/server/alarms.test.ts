import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTriedAgainSoon, nextForAlarm } from './alarms.ts';

const minuteMs = 60_000;
const retry = { firstMs: 10 * minuteMs, mostMs: 360 * minuteMs };
const backup = (id: string, state: string, endedMs: number | null = 0) => ({ id, state, ended_ms: endedMs, result: null });
const next = (backups: ReturnType<typeof backup>[], nowMs = 0, isAnswer = true) => nextForAlarm(backups, () => isAnswer, nowMs, retry);
const failures = (count: number) => Array.from({ length: count }, (_, at) => backup(String(at), 'failed'));

test('an alarm asks for a backup, waits for the one that runs, and is settled by the one that leads on', () => {
  assert.deepEqual(next([]), { kind: 'start' });
  assert.deepEqual(next([backup('a', 'working', null)]), { kind: 'wait' });
  assert.deepEqual(next([backup('a', 'success')]), { kind: 'settled', by: 'a' });
});

test('an alarm stays open however often its backup fails, and is answered again after growing waits of at most six hours', () => {
  for (const [failed, minutes] of [[1, 10], [2, 20], [4, 80], [6, 320], [7, 360], [20, 360]] as const) {
    assert.deepEqual(next(failures(failed), minutes * minuteMs - 1), { kind: 'wait' }, `${failed} failures`);
    assert.deepEqual(next(failures(failed), minutes * minuteMs), { kind: 'start' }, `${failed} failures`);
  }
});

test('an operator who stops the backup postpones it, and a backup whose point does not lead on settles nothing', () => {
  assert.deepEqual(next([backup('a', 'stopped')], 9 * minuteMs), { kind: 'wait' });
  assert.deepEqual(next([backup('a', 'stopped')], 10 * minuteMs), { kind: 'start' });
  assert.deepEqual(next([backup('a', 'success')], 10 * minuteMs, false), { kind: 'start' });
});

test('an earlier success counts whatever came after it', () => {
  assert.deepEqual(next([backup('b', 'failed'), backup('a', 'success')]), { kind: 'settled', by: 'a' });
});

test('three failures are followed by another try soon, and each later one is told', () => {
  assert.deepEqual([1, 2, 3, 4, 9].map((count) => isTriedAgainSoon(failures(count))), [true, true, true, false, false]);
});
