import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countsAs } from './kept-moment.ts';

test('a moment of the past counts as itself, one that no right clock can have written as now', () => {
  assert.deepEqual([countsAs(5, 10), countsAs(10, 10), countsAs(11, 10)], [5, 10, 10]);
  assert.deepEqual([countsAs(15, 10, 5), countsAs(16, 10, 5)], [15, 10]);
});
