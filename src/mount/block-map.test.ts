import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockMap } from './block-map.ts';

test('a range is told apart into what is kept and what is not', () => {
  const map = new BlockMap();
  map.add(3, 2);
  map.add(1000, 1);
  assert.deepEqual([...map.runs(0, 6)], [
    { first: 0, count: 3, kept: false },
    { first: 3, count: 2, kept: true },
    { first: 5, count: 1, kept: false },
  ]);
  assert.equal(map.count, 3);
  assert.deepEqual(map.missing(2, 4), { first: 2, count: 4 });
  assert.deepEqual(map.missing(3, 4), { first: 5, count: 2 });
  assert.equal(map.missing(3, 2), undefined);
});

test('what lies behind a cut is no longer kept', () => {
  const map = new BlockMap();
  map.add(5, 20);
  map.add(900, 3);
  map.removeFrom(10);
  assert.equal(map.count, 5);
  assert.deepEqual([...map.runs(0, 1000)].filter((run) => run.kept), [{ first: 5, count: 5, kept: true }]);
});
