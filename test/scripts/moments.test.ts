import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRandom } from '../../scripts/bench/random.ts';
import { chooseMoment, kindOf, within, type Landmark } from '../../scripts/torture/moments.ts';

const mark = (t: number, i: number, kind: Landmark['kind']): Landmark => ({ at: { t, i }, kind });

test('an oplog entry is named by what cutting there means', () => {
  const entry = { op: 'c', first: 'applyOps', session: true, isPartial: false };
  assert.equal(kindOf(entry), 'transaction');
  assert.equal(kindOf({ ...entry, isPartial: true }), 'inside a transaction');
  assert.equal(kindOf({ ...entry, session: false }), 'command');
  assert.equal(kindOf({ ...entry, first: 'drop' }), 'command');
  assert.equal(kindOf({ ...entry, op: 'n', first: 'msg' }), 'noop');
  assert.equal(kindOf({ ...entry, op: 'u' }), 'operation');
});

test('a kind with one landmark among a thousand is chosen as often as the others', () => {
  const many = Array.from({ length: 1000 }, (_, k) => mark(10 + k, 1, 'operation'));
  const landmarks = [...many, mark(2000, 1, 'inside a transaction')];
  const random = openRandom('moments');
  const chosen = Array.from({ length: 300 }, () => chooseMoment(landmarks, random).kind);
  assert.ok(chosen.filter((kind) => kind === 'inside a transaction').length > 60);
});

test('a moment at which nothing happened lies between two that something did', () => {
  const landmarks = [mark(10, 1, 'operation'), mark(10, 5, 'operation'), mark(12, 1, 'operation')];
  const random = openRandom('between');
  const found = Array.from({ length: 200 }, () => chooseMoment(landmarks, random)).filter((each) => each.kind === 'no operation');
  assert.ok(found.length > 0);
  for (const { at } of found) assert.deepEqual(at, { t: 10, i: 1005 });
});

test('a stretch leaves out its start and keeps its end', () => {
  const landmarks = [mark(1, 1, 'noop'), mark(1, 2, 'noop'), mark(2, 1, 'noop')];
  assert.deepEqual(within(landmarks, { t: 1, i: 1 }, { t: 2, i: 1 }), landmarks.slice(1));
});
