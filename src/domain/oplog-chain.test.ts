import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { justBefore, lostWithout, reach, unite, type OplogSpan, type Stretch } from './oplog-chain.ts';

const at = (t: number, i = 0): ClusterTime => ({ t, i });
const span = (after: ClusterTime, through: ClusterTime): OplogSpan => ({ after, through });

test('two spans one increment apart are a gap, and the answer names where it starts and ends', () => {
  const spans = [span(at(10), at(20, 3)), span(at(20, 4), at(30))];
  assert.deepEqual(reach(at(10), spans, at(25)), { kind: 'gap', after: at(20, 3), resumesAt: at(20, 4) });
});

test('spans that touch carry a base to any moment in them, whatever their order and however often they are listed', () => {
  const borders = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 3, maxLength: 12 }).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(borders, fc.nat(), fc.nat(), fc.nat(), (list, x, y, order) => {
      const spans = list.slice(1).map((end, n) => span(at(list[n]!), at(end)));
      const mixed = [...spans.slice(order % spans.length), ...spans.slice(0, order % spans.length), spans[order % spans.length]!];
      const [first, last] = [list[0]!, list.at(-1)!];
      const base = first + (x % (last - first));
      const target = base + (y % (last - base + 1));
      const found = reach(at(base), mixed, at(target));
      assert.equal(found.kind, 'reachable');
      if (found.kind !== 'reachable') return;
      let from = at(base);
      for (const part of found.replay) {
        assert.deepEqual(part.after, from);
        from = part.through;
      }
      assert.deepEqual(from, at(target));
    }),
  );
});

test('with any one span missing between base and target the target is not reachable', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 10 }), fc.nat(), (count, pick) => {
      const spans = Array.from({ length: count }, (_, n) => span(at(10 * n), at(10 * n + 10)));
      const without = spans.toSpliced(pick % count, 1);
      assert.equal(reach(at(0), without, at(10 * count)).kind, 'gap');
    }),
  );
});

test('a moment before the base is told apart from a gap', () => {
  assert.deepEqual(reach(at(10), [span(at(0), at(30))], at(9, 999)), { kind: 'before-base', earliest: at(10) });
});

const stretches = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 8 })).map(([from, long]): Stretch => ({ from: at(0, from), to: at(0, from + long) })),
  { maxLength: 6 },
);
const holds = (list: readonly Stretch[], i: number): boolean => list.some(({ from, to }) => compareTimes(from, at(0, i)) <= 0 && compareTimes(at(0, i), to) <= 0);

test('united stretches hold the same moments and do not overlap', () => {
  fc.assert(
    fc.property(stretches, (list) => {
      const united = unite(list);
      for (let i = 0; i <= 70; i++) assert.equal(holds(united, i), holds(list, i));
      for (const [n, next] of united.entries()) if (n > 0) assert.ok(compareTimes(united[n - 1]!.to, next.from) < 0);
    }),
  );
});

test('what is lost without some points is exactly what the others do not hold', () => {
  fc.assert(
    fc.property(stretches, stretches, (all, kept) => {
      const lost = lostWithout([...all, ...kept], kept);
      for (let i = 1; i <= 70; i++) {
        const isLost = lost.some(({ after, through }) => compareTimes(after, at(0, i)) < 0 && compareTimes(at(0, i), through) <= 0);
        assert.equal(isLost, holds(all, i) && !holds(kept, i), `moment ${i}`);
      }
    }),
  );
});

test('the time before the first of a second is the last of the second before', () => {
  assert.deepEqual(justBefore(at(7, 0)), at(6, 0xffffffff));
  assert.deepEqual(justBefore(at(7, 1)), at(7, 0));
});
