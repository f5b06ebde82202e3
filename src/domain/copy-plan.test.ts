import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fewestCopies, planCopies, type Copied, type CopyKeep, type Original } from './copy-plan.ts';

const dayMs = 86_400_000;
const nowMs = 100 * dayMs;
const point = (id: string, daysAgo: number, ok: boolean | null = true): Original => ({ id, createdAtMs: nowMs - daysAgo * dayMs, ok });
const copyOf = (of: string, daysAgo: number, ok: boolean | null = true): Copied => ({ ...point(`${of}-c`, daysAgo, ok), of });

test('a first copy brings what its retention would keep, oldest first, and no less than three', () => {
  const originals = [point('d', 1), point('a', 40), point('c', 3), point('b', 20), point('z', 50)];
  assert.deepEqual(planCopies(originals, [], { kind: 'days', days: 30 }, nowMs), { toCopy: ['b', 'c', 'd'], surplus: [] });
  assert.deepEqual(planCopies(originals, [], { kind: 'days', days: 2 }, nowMs).toCopy, ['b', 'c', 'd']);
  assert.deepEqual(planCopies(originals, [], { kind: 'points', points: 4 }, nowMs).toCopy, ['a', 'b', 'c', 'd']);
});

test('a copy that is too old goes when three newer ones are there, and does not come back though the source still has its point', () => {
  const originals = [point('a', 40), point('b', 20), point('c', 3), point('d', 1)];
  const copies = [copyOf('a', 40), copyOf('b', 20), copyOf('c', 3)];
  assert.deepEqual(planCopies(originals, copies, { kind: 'days', days: 7 }, nowMs), { toCopy: ['d'], surplus: [] });
  const after = planCopies(originals, [...copies, copyOf('d', 1)], { kind: 'days', days: 7 }, nowMs);
  assert.deepEqual(after, { toCopy: [], surplus: ['a-c'] });
  assert.deepEqual(planCopies(originals, [...copies.slice(1), copyOf('d', 1)], { kind: 'days', days: 7 }, nowMs), { toCopy: [], surplus: [] });
});

test('copies outlive their originals for as long as the retention says', () => {
  const copies = [copyOf('a', 9), copyOf('b', 6), copyOf('c', 5), copyOf('d', 4)];
  assert.deepEqual(planCopies([], copies, { kind: 'days', days: 10 }, nowMs), { toCopy: [], surplus: [] });
  assert.deepEqual(planCopies([], copies, { kind: 'days', days: 8 }, nowMs), { toCopy: [], surplus: ['a-c'] });
});

test('a point without a proof, or with a failed one, is not copied and takes nobody\'s place', () => {
  const originals = [point('a', 6), point('b', 5), point('c', 4, false), point('d', 3, null), point('e', 2)];
  assert.deepEqual(planCopies(originals, [], { kind: 'points', points: 2 }, nowMs), { toCopy: ['a', 'b', 'e'], surplus: [] });
  assert.deepEqual(planCopies([...originals, point('f', 1)], [], { kind: 'points', points: 2 }, nowMs).toCopy, ['b', 'e', 'f']);
});

test('a copy with a failed proof displaces no good one, and goes when a good one of its age would', () => {
  const copies = [copyOf('a', 9), copyOf('b', 8, null), copyOf('c', 7), copyOf('d', 6, false), copyOf('e', 5, false)];
  assert.deepEqual(planCopies([], copies, { kind: 'points', points: 1 }, nowMs), { toCopy: [], surplus: [] });
  assert.deepEqual(planCopies([point('d', 6, false)], [...copies, copyOf('f', 4)], { kind: 'points', points: 1 }, nowMs), { toCopy: [], surplus: ['a-c'] });
  assert.deepEqual(planCopies([], [...copies, copyOf('f', 4), copyOf('g', 3), copyOf('h', 2)], { kind: 'points', points: 1 }, nowMs).surplus, ['a-c', 'b-c', 'c-c', 'd-c', 'e-c']);
});

test('points made while a clock was years ahead take no place: the copies of today stay, new points are copied, and so are those', () => {
  const keep: CopyKeep = { kind: 'points', points: 3 };
  const ahead = ['x', 'y', 'z'].map((id, k) => ({ id, createdAtMs: nowMs + (3_000 + k) * dayMs, ok: true }));
  const copiesAhead = ahead.map((one) => ({ ...one, of: one.id, id: `${one.id}-c` }));
  const originals = [point('a', 4), point('b', 3), point('c', 2), point('d', 1)];
  const copies = [copyOf('a', 4), copyOf('b', 3), copyOf('c', 2)];
  assert.deepEqual(planCopies([...originals, ...ahead], [...copies, ...copiesAhead], keep, nowMs), { toCopy: ['d'], surplus: [] });
  assert.deepEqual(planCopies([...originals, ...ahead], copies, keep, nowMs), { toCopy: ['d', 'x', 'y', 'z'], surplus: [] }, 'what they hold is as good as any');
  assert.deepEqual(planCopies([...originals, ...ahead], [...copies, copyOf('d', 1), ...copiesAhead], { kind: 'days', days: 1 }, nowMs).surplus, ['a-c']);
  assert.deepEqual(planCopies([...originals, ...ahead], [...copies, copyOf('d', 1), ...copiesAhead], keep, nowMs + 4_000 * dayMs).surplus, ['a-c', 'b-c', 'c-c', 'd-c'], 'until that time has come');
});

test('no copy goes for a point that is still to be copied', () => {
  const copies = [copyOf('a', 40), copyOf('b', 30), copyOf('c', 20)];
  const originals = [point('d', 3), point('e', 2), point('f', 1)];
  assert.deepEqual(planCopies(originals, copies, { kind: 'days', days: 7 }, nowMs), { toCopy: ['d', 'e', 'f'], surplus: [] });
  assert.deepEqual(planCopies(originals, [...copies, copyOf('e', 2)], { kind: 'days', days: 7 }, nowMs), { toCopy: ['d', 'f'], surplus: ['a-c'] });
});

test('whatever is there: three good copies stay, nothing is copied twice or deleted and wanted at once, and a run leaves the next one nothing', () => {
  const keep: fc.Arbitrary<CopyKeep> = fc.oneof(fc.record({ kind: fc.constant('days' as const), days: fc.integer({ min: 1, max: 60 }) }), fc.record({ kind: fc.constant('points' as const), points: fc.integer({ min: 1, max: 12 }) }));
  const ages = fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1, maxLength: 3 }), ago: fc.integer({ min: 0, max: 90 }), at: fc.constantFrom('source', 'copy', 'both'), ok: fc.constantFrom(true, true, null, false), copyOk: fc.constantFrom(true, true, null, false) }), { selector: ({ id }) => id, maxLength: 12 });
  fc.assert(
    fc.property(ages, keep, (all, how) => {
      const originals = all.filter(({ at }) => at !== 'copy').map(({ id, ago, ok }) => point(id, ago, ok));
      const copies = all.filter(({ at }) => at !== 'source').map(({ id, ago, copyOk }) => copyOf(id, ago, copyOk));
      const plan = planCopies(originals, copies, how, nowMs);
      const good = copies.filter(({ ok }) => ok !== false);
      assert.ok(good.filter(({ id }) => !plan.surplus.includes(id)).length >= Math.min(good.length, fewestCopies));
      assert.ok(plan.toCopy.every((id) => !copies.some(({ of }) => of === id) && originals.some((one) => one.id === id && one.ok === true)));
      const made = [...copies, ...plan.toCopy.map((id) => ({ id: `${id}-c`, of: id, ok: true, createdAtMs: originals.find((one) => one.id === id)!.createdAtMs }))];
      const left = made.filter(({ id }) => !planCopies(originals, made, how, nowMs).surplus.includes(id));
      assert.deepEqual(planCopies(originals, left, how, nowMs), { toCopy: [], surplus: [] });
    }),
  );
});
