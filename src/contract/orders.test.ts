import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadMs, pingMs } from './link/silence.ts';
import { orders } from './orders.ts';

test('a peer that falls silent is a lost link before any order to it is one that was not answered', () => {
  const tooShort = Object.entries(orders).filter(([, { deadlineMs }]) => deadlineMs !== null && deadlineMs <= deadMs + pingMs);
  assert.deepEqual(tooShort.map(([name]) => name), []);
});
