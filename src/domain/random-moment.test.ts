import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { momentAtShare } from './random-moment.ts';
import { chooseRestore, type WindowFacts } from './restore-choice.ts';

const point = (id: string, t: number, proved: boolean | null = true) => ({ id, checkpoint: { t, i: 1 }, top: { t: t + 2, i: 1 }, createdAtMs: t * 1000, proved });
const span = (chain: string, after: number, through: number) => ({ chain, after: { t: after, i: 1 }, through: { t: through, i: 7 } });

/** Two stretches with a gap between them. */
const window: WindowFacts = { points: [point('a', 110), point('b', 140), point('c', 210)], spans: [span('x', 100, 150), span('y', 200, 250)], barriers: [] };

test('every share is a moment that a restore point leads to, and its ends are those of the window', () => {
  assert.deepEqual(momentAtShare(window, 0), { t: 110, i: 0xffffffff });
  assert.deepEqual(momentAtShare(window, 0.999_999), { t: 250, i: 7 }, 'no later than what is archived');
  fc.assert(fc.property(fc.double({ min: 0, max: 0.999_999, noNaN: true }), (share) => chooseRestore(window, { kind: 'time', at: momentAtShare(window, share)! }).kind === 'point'));
});

test('every second of the window is met, a stretch that two points share once, and those of a bad point alone never', () => {
  const met = Array.from({ length: 10_000 }, (_, n) => momentAtShare(window, n / 10_000)!.t);
  assert.deepEqual([...new Set(met)], [...Array.from({ length: 41 }, (_, n) => 110 + n), ...Array.from({ length: 41 }, (_, n) => 210 + n)]);
  const withoutA = { ...window, points: [point('a', 110, false), point('b', 140), point('c', 210)] };
  assert.equal(momentAtShare(withoutA, 0)!.t, 140);
  assert.equal(momentAtShare({ points: [], spans: [], barriers: [] }, 0.5), null);
});
