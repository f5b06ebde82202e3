import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextForAlarm } from './alarms.ts';

const minuteMs = 60_000;
const backup = (id: string, state: string, endedMs: number | null = 0) => ({ id, state, ended_ms: endedMs });
const next = (backups: ReturnType<typeof backup>[], nowMs = 0) => nextForAlarm(backups, nowMs, 10 * minuteMs);

test('an alarm asks for a backup, waits for the one that runs, and is settled by the one that ends well', () => {
  assert.deepEqual(next([]), { kind: 'start' });
  assert.deepEqual(next([backup('a', 'working', null)]), { kind: 'wait' });
  assert.deepEqual(next([backup('a', 'success')]), { kind: 'settled', by: 'a' });
});

test('a backup that failed is followed by another after ten minutes, three times and no more', () => {
  assert.deepEqual(next([backup('a', 'failed')], 9 * minuteMs), { kind: 'wait' });
  assert.deepEqual(next([backup('a', 'failed')], 10 * minuteMs), { kind: 'start' });
  assert.deepEqual(next([backup('c', 'failed'), backup('b', 'failed'), backup('a', 'failed')], 10 * minuteMs), { kind: 'start' });
  assert.deepEqual(next(['d', 'c', 'b', 'a'].map((id) => backup(id, 'failed')), 10 * minuteMs), { kind: 'settled', by: 'd' });
});

test('an earlier success counts whatever came after it, and an operator who stops the backup is obeyed', () => {
  assert.deepEqual(next([backup('b', 'failed'), backup('a', 'success')]), { kind: 'settled', by: 'a' });
  assert.deepEqual(next([backup('a', 'stopped')], 60 * minuteMs), { kind: 'settled', by: 'a' });
});
