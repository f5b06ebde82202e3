import assert from 'node:assert/strict';
import { test } from 'node:test';
import { archivedBytes } from './window.ts';

const at = (t: number): { t: number; i: number } => ({ t, i: 1 });

test('the room for a replay counts every slice that holds an entry of the range, and no other', () => {
  const slices = [10, 20, 30, 40].map((t, k) => ({ after: at(t), through: at(t + 10), bytes: 10 ** k, isCut: false }));
  assert.equal(archivedBytes(slices, at(20), at(40)), 110);
  assert.equal(archivedBytes(slices, at(19), at(41)), 1111);
  assert.equal(archivedBytes(slices, at(25), at(25)), 10);
  assert.equal(archivedBytes(slices, at(20), at(20)), 0);
});
