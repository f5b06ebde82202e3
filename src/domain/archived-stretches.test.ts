import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterCuts, afterHearing, mostBarriersTold, restorableOf, type ArchivedStretch, type GoodPoint, type HeardStretch, type OplogCut } from './archived-stretches.ts';

const at = (t: number, i = 1): { t: number; i: number } => ({ t, i });
const stretch = (chain: string, from: number, through: number): ArchivedStretch => ({ chain, from: at(from), through: at(through) });
const point = (checkpoint: number, isProved = true): GoodPoint => ({ checkpoint: at(checkpoint), top: at(checkpoint + 5), isProved });
const heard = (...all: (ArchivedStretch & Partial<HeardStretch>)[]): ArchivedStretch[] => all.reduce<ArchivedStretch[]>((known, next) => afterHearing(known, { isBehindBarrier: false, barriers: [], cuts: [], ...next }), []);
const cut = (chain: string, after: number, through: number): OplogCut => ({ chain, after: at(after), through: at(through) });

test('a chain that grows is one stretch, and its end is what can be restored', () => {
  const known = heard(stretch('c1', 10, 20), stretch('c1', 10, 30));
  assert.deepEqual(known, [stretch('c1', 10, 30)]);
  assert.deepEqual(restorableOf(known, [point(12)]), { to: at(30), needsBase: false });
});

test('a new chain counts only once a good point enters it', () => {
  const known = heard(stretch('c1', 10, 30), stretch('c2', 40, 90));
  assert.deepEqual(restorableOf(known, [point(12)]), { to: at(30), needsBase: true });
  assert.deepEqual(restorableOf(known, [point(12), point(50)]), { to: at(90), needsBase: false });
  assert.deepEqual(restorableOf(heard(...known, stretch('c3', 95, 99)), [point(12), point(50)]), { to: at(90), needsBase: true });
});

test('a barrier ends what can be restored right before it', () => {
  const known = heard(stretch('c1', 10, 30), { ...stretch('c1', 35, 60), isBehindBarrier: true });
  assert.deepEqual(restorableOf(known, [point(12)]), { to: at(35, 0), needsBase: true });
  assert.deepEqual(restorableOf(known, [point(12), point(35)]), { to: at(60), needsBase: false });
});

test('of several barriers between two words of the follower the first one ends what leads up to them', () => {
  const passed = (...barriers: number[]): ArchivedStretch[] => heard(stretch('c1', 10, 30), { ...stretch('c1', barriers.at(-1)!, 90), isBehindBarrier: true, barriers: barriers.map((t) => at(t)) });
  const ends = (known: ArchivedStretch[]): number[][] => known.map(({ from, through }) => [from.t, through.t, through.i]);
  assert.deepEqual(ends(passed(40)), [[10, 40, 0], [40, 90, 1]]);
  assert.deepEqual(ends(passed(5, 40, 50, 60)), [[10, 40, 0], [40, 50, 0], [50, 60, 0], [60, 90, 1]], 'one that was known before is none of them');
  assert.deepEqual(restorableOf(passed(40, 60), [point(12)]), { to: at(40, 0), needsBase: true });
  assert.deepEqual(restorableOf(passed(40, 60), [point(12), point(45)]), { to: at(60, 0), needsBase: true });
  const many = passed(...Array.from({ length: mostBarriersTold }, (_, n) => 40 + n));
  assert.deepEqual(ends(many).filter(([from, through]) => from! < 40 && through! > 30), [], 'where the first one may not have been told, nothing is added');
});

test('a point whose checkpoint is not archived yet needs no other base, and what was proved can be restored whatever is known', () => {
  assert.deepEqual(restorableOf([stretch('c1', 10, 30)], [point(40, false)]), { to: null, needsBase: false });
  assert.deepEqual(restorableOf([stretch('c1', 10, 30)], [point(40)]), { to: at(45), needsBase: false });
  assert.deepEqual(restorableOf([], [point(12)]), { to: at(17), needsBase: false });
  assert.deepEqual(restorableOf([stretch('c1', 10, 30)], []), { to: null, needsBase: true });
});

test('a follower that begins anew takes nothing back, and only the newest stretches are kept', () => {
  assert.deepEqual(heard(stretch('c1', 20, 30), stretch('c1', 10, 40)), [stretch('c1', 20, 40)]);
  assert.equal(heard(...Array.from({ length: 40 }, (_, n) => stretch(`c${n}`, n, n))).length, 16);
});

test('a cut ends what leads into it, and what is behind it is of use to points behind it', () => {
  const known = heard(stretch('c1', 10, 90));
  for (const told of [afterCuts(known, [cut('c1', 30, 50)]), heard(stretch('c1', 10, 90), { ...stretch('c1', 50, 95), cuts: [cut('c1', 30, 50)] })]) {
    assert.deepEqual(told.map(({ from, through }) => [from.t, through.t]), [[10, 30], [50, told.at(-1)!.through.t]]);
    assert.deepEqual(restorableOf(told, [point(12)]), { to: at(30), needsBase: true });
    assert.deepEqual(restorableOf(told, [point(12), point(50)]), { to: told.at(-1)!.through, needsBase: false });
    assert.deepEqual(afterCuts(told, [cut('c1', 30, 50)]), told, 'once more');
  }
  assert.deepEqual(afterCuts(known, [cut('c1', 5, 40)]), [stretch('c1', 40, 90)]);
  assert.deepEqual(afterCuts(known, [cut('c1', 5, 95)]), []);
  assert.deepEqual(afterCuts(known, [cut('c2', 30, 50), cut('c1', 90, 95), cut('c1', 5, 10)]), known, 'of another chain, or beside it');
});

test('what is not known to be a barrier makes no stretch longer, and a cut that nobody was told of counts in front of a barrier', () => {
  assert.deepEqual(heard(stretch('c1', 10, 30), stretch('c1', 50, 60)), [stretch('c1', 10, 30), stretch('c1', 50, 60)]);
  const known = heard(stretch('c1', 10, 30), { ...stretch('c1', 80, 90), isBehindBarrier: true, cuts: [cut('c1', 40, 60)] });
  assert.deepEqual(known, [stretch('c1', 10, 40), { chain: 'c1', from: at(60), through: at(80, 0) }, stretch('c1', 80, 90)]);
});

test('a set that was put back: a point leads along its own history alone, and of two the newer one counts', () => {
  const known = [stretch('a', 10, 100), stretch('b', 50, 90)];
  const ofA: GoodPoint = { ...point(70), chain: 'a' };
  assert.deepEqual(restorableOf(known, [ofA]), { to: at(100), needsBase: true });
  assert.deepEqual(restorableOf(known, [ofA, { ...point(60), chain: 'b' }]), { to: at(90), needsBase: false });
  assert.deepEqual(restorableOf(known, [{ ...point(70), chain: null }]).needsBase, false, 'nobody knows');
});
