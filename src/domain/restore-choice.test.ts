import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { chooseRestore, mayStillCome, stretchOf, type PointFacts, type WindowFacts } from './restore-choice.ts';

const at = (t: number, i = 1): ClusterTime => ({ t, i });
const point = (id: string, checkpoint: number, proved: boolean | null = true): PointFacts => ({ id, checkpoint: at(checkpoint), top: at(checkpoint + 2), createdAtMs: checkpoint * 1000, proved });
const chain = (name: string, after: number, through: number) => ({ chain: name, after: at(after), through: at(through) });

const plain: WindowFacts = { points: [point('a', 10), point('b', 50)], spans: [chain('x', 5, 100)], barriers: [] };

test('the newest point that is not after the moment is chosen', () => {
  assert.deepEqual(chooseRestore(plain, { kind: 'time', at: at(49) }), { kind: 'point', point: 'a', at: at(49) });
  assert.deepEqual(chooseRestore(plain, { kind: 'time', at: at(50) }), { kind: 'point', point: 'b', at: at(50) });
});

test('latest is the end of what the chain holds', () => {
  assert.deepEqual(chooseRestore(plain, { kind: 'latest' }), { kind: 'point', point: 'b', at: at(100) });
});

test('a point by its name stands for the newest entry in its own copy', () => {
  assert.deepEqual(chooseRestore(plain, { kind: 'point', point: 'a' }), { kind: 'point', point: 'a', at: at(12) });
});

test('a moment beyond the archived oplog is refused with the last safe time', () => {
  const choice = chooseRestore(plain, { kind: 'time', at: at(101) });
  assert.ok(choice.kind === 'refused');
  assert.deepEqual(choice.lastSafe, at(100));
  assert.match(choice.why, /reaches 100,1/);
});

test('more oplog may lead to a moment after all that is archived, and not over a gap, a barrier or to before the first point', () => {
  const may = (window: WindowFacts, t: number): boolean => mayStillCome(window, chooseRestore(window, { kind: 'time', at: at(t) }));
  assert.deepEqual([may(plain, 101), may(plain, 100), may(plain, 9)], [true, false, false]);
  assert.equal(may({ ...plain, barriers: [{ at: at(60), what: 'renameCollection' }] }, 101), false);
  assert.equal(may({ ...plain, spans: [chain('x', 5, 30), chain('y', 45, 100)] }, 40), false);
  assert.equal(may({ ...plain, points: [] }, 101), false);
});

test('a moment before the oldest point is refused and names where that begins', () => {
  const choice = chooseRestore(plain, { kind: 'time', at: at(9) });
  assert.ok(choice.kind === 'refused');
  assert.equal(choice.lastSafe, null);
  assert.match(choice.why, /begins at 10,1/);
});

test('a moment in a gap is refused, and one after it is reached from the point behind the gap', () => {
  const broken: WindowFacts = { points: plain.points, spans: [chain('x', 5, 30), chain('y', 45, 100)], barriers: [] };
  const choice = chooseRestore(broken, { kind: 'time', at: at(40) });
  assert.ok(choice.kind === 'refused');
  assert.deepEqual(choice.lastSafe, at(30));
  assert.match(choice.why, /gap after 30,1 and resumes after 45,1/);
  assert.deepEqual(chooseRestore(broken, { kind: 'time', at: at(60) }), { kind: 'point', point: 'b', at: at(60) });
});

test('two chains that touch are still two histories', () => {
  const two: WindowFacts = { points: [point('a', 10)], spans: [chain('x', 5, 30), chain('y', 30, 100)], barriers: [] };
  assert.equal(chooseRestore(two, { kind: 'time', at: at(31) }).kind, 'refused');
});

test('a moment at or behind a barrier is refused with the barrier by name and the moment just before it', () => {
  const barred: WindowFacts = { ...plain, points: [point('a', 10)], barriers: [{ at: at(40, 7), what: 'setFeatureCompatibilityVersion' }] };
  const choice = chooseRestore(barred, { kind: 'time', at: at(40, 7) });
  assert.ok(choice.kind === 'refused');
  assert.match(choice.why, /setFeatureCompatibilityVersion at 40,7/);
  assert.deepEqual(choice.lastSafe, at(40, 6));
  assert.equal(chooseRestore(barred, { kind: 'time', at: at(40, 6) }).kind, 'point');
});

test('a point that did not pass its check is not used unless it is named', () => {
  const bad: WindowFacts = { ...plain, points: [point('a', 10), point('b', 50, false)] };
  assert.deepEqual(chooseRestore(bad, { kind: 'time', at: at(60) }), { kind: 'point', point: 'a', at: at(60) });
  assert.deepEqual(chooseRestore(bad, { kind: 'point', point: 'b' }), { kind: 'point', point: 'b', at: at(52) });
});

test('without a point, or with none covered, nothing is offered', () => {
  assert.deepEqual(chooseRestore({ points: [], spans: [], barriers: [] }, { kind: 'latest' }), { kind: 'refused', at: null, why: 'there is no restore point yet', lastSafe: null });
  assert.equal(chooseRestore({ points: [point('a', 10)], spans: [chain('x', 20, 30)], barriers: [] }, { kind: 'latest' }).kind, 'refused');
});

test('over random windows: what is chosen is within one chain, before every barrier, and the newest; what is refused names a moment that is not', () => {
  const spans = fc.array(fc.record({ chain: fc.constantFrom('x', 'y', 'z'), after: fc.nat(60), long: fc.integer({ min: 1, max: 30 }) }), { maxLength: 6 }).map((list) => {
    const seen = new Set<string>();
    return list.filter(({ chain: name }) => !seen.has(name) && seen.add(name)).map(({ chain: name, after, long }) => chain(name, after, after + long));
  });
  const points = fc.uniqueArray(fc.nat(70), { maxLength: 5 }).map((list) => list.map((checkpoint) => point(`p${checkpoint}`, checkpoint)));
  const barriers = fc.array(fc.nat(80).map((t) => ({ at: at(t), what: 'a barrier' })), { maxLength: 2 });
  fc.assert(
    fc.property(fc.record({ points, spans, barriers }), fc.nat(90), (window, t) => {
      const leads = (one: PointFacts, when: ClusterTime): boolean =>
        compareTimes(one.checkpoint, when) <= 0 &&
        window.spans.some((span) => compareTimes(span.after, one.checkpoint) <= 0 && compareTimes(when, span.through) <= 0) &&
        !window.barriers.some((barrier) => compareTimes(barrier.at, one.checkpoint) > 0 && compareTimes(barrier.at, when) <= 0);
      const choice = chooseRestore(window, { kind: 'time', at: at(t) });
      const able = window.points.filter((one) => leads(one, at(t)));
      if (choice.kind === 'point') assert.equal(choice.point, able.sort((a, b) => compareTimes(a.checkpoint, b.checkpoint)).at(-1)?.id);
      else {
        assert.deepEqual(able, []);
        if (choice.lastSafe !== null) assert.ok(window.points.some((one) => leads(one, choice.lastSafe!)));
      }
      for (const one of window.points) {
        const stretch = stretchOf(window, one);
        if (stretch !== undefined) assert.ok(leads(one, stretch.to) && leads(one, stretch.from));
      }
    }),
    { numRuns: 500 },
  );
});
