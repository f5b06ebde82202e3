import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskEvent } from '../contract/tasks.ts';
import { openKeptEvents, type KeptEvents } from './kept-events.ts';

const line = (text: string): TaskEvent => ({ kind: 'line', atMs: 0, level: 'info', text });
const status = (key: string, value: unknown): TaskEvent => ({ kind: 'status', atMs: 0, key, value });

function numbers(events: KeptEvents, from = 1): number[] {
  const found: number[] = [];
  for (let next = events.from(from); next !== undefined; next = events.from(next.number + 1)) found.push(next.number);
  return found;
}

test('of what takes the place of the one before the last is kept, of each stretch of a chain its own last word, and all else', () => {
  const events = openKeptEvents({ roomyTo: 8, most: 100 });
  events.add(line('one'));
  for (const since of [1, 1, 2, 2]) events.add(status('chain', { chain: 'c1', since: { t: since, i: 1 } }));
  for (let more = 0; more < 2; more++) events.add(status('barrier', { chain: 'c1' }));
  events.add(status('reach', {}));
  assert.deepEqual(numbers(events), [1, 2, 3, 4, 5, 6, 7, 8], 'with room for all nothing goes');
  events.add(status('reach', {}));
  assert.deepEqual(numbers(events), [1, 3, 5, 6, 7, 9]);
  assert.deepEqual(numbers(events, 4), [5, 6, 7, 9]);
  assert.equal(events.from(10), undefined);
});

test('a task that says no end of lines keeps the newest', () => {
  const events = openKeptEvents({ roomyTo: 4, most: 6 });
  for (let said = 1; said <= 1_000; said++) events.add(line(String(said)));
  const kept = numbers(events);
  assert.ok(kept.length >= 6 && kept.length <= 8, String(kept.length));
  assert.equal(kept.at(-1), 1_000);
});
