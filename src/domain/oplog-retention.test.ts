import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { chanceFrom, type Chance } from '../../test/kit/seeded.ts';
import { isNeeded, neededOplog, widestRule, type OplogRule, type OplogUser } from './oplog-retention.ts';
import { stretchOf, type WindowFacts } from './restore-choice.ts';

const day = 86_400;
const at = (t: number, i = 1): ClusterTime => ({ t, i });
const user = (checkpoint: number, more: Partial<OplogUser> = {}): OplogUser => ({ checkpoint: at(checkpoint), top: at(checkpoint + 60), ok: true, isUsable: true, isBusy: false, ...more });
const needs = (points: readonly OplogUser[], rule: OplogRule | null, newest: number, now = newest): ((from: number, to: number) => boolean) => {
  const needed = neededOplog(points, rule, at(newest), now * 1000);
  return (from, to) => isNeeded(needed, at(from), at(to));
};

test('with its points everything behind the oldest one is needed, and nothing before it', () => {
  const isKept = needs([user(30 * day), user(10 * day)], { kind: 'points' }, 40 * day);
  assert.equal(isKept(5 * day, 9 * day), false);
  assert.equal(isKept(9 * day, 11 * day), true);
  assert.equal(isKept(39 * day, 40 * day), true);
});

test('days keep every moment of the last days, and of an older point what leads to its own time', () => {
  const isKept = needs([user(10 * day), user(36 * day), user(39 * day)], { kind: 'days', days: 3 }, 40 * day);
  assert.equal(isKept(10 * day + 10, 10 * day + 20), true);
  assert.equal(isKept(10 * day + 70, 35 * day), false);
  assert.equal(isKept(36 * day + 5, 37 * day), true);
});

test('days are counted from the newest entry, and from now where that is earlier: no clock makes anything old', () => {
  const points = [user(10 * day), user(36 * day)];
  assert.equal(needs(points, { kind: 'days', days: 3 }, 40 * day, 4000 * day)(36 * day + 5, 37 * day), true);
  assert.equal(needs(points, { kind: 'days', days: 3 }, 40 * day, 12 * day)(11 * day, 12 * day), true);
});

test('a point that a session works with keeps everything behind it, and a point nobody can use is no reason to shorten', () => {
  assert.equal(needs([user(10 * day, { isBusy: true }), user(36 * day)], { kind: 'days', days: 3 }, 40 * day)(20 * day, 21 * day), true);
  assert.equal(needs([user(10 * day), user(36 * day, { ok: false })], { kind: 'days', days: 3 }, 40 * day)(20 * day, 21 * day), true);
  assert.equal(needs([user(10 * day), user(36 * day, { isUsable: false })], { kind: 'days', days: 3 }, 40 * day)(20 * day, 21 * day), true);
});

test('without a point or without a rule everything is needed; of several rules the wider one counts', () => {
  assert.equal(needs([], { kind: 'points' }, 40 * day)(1, 2), true);
  assert.equal(needs([user(10 * day)], null, 40 * day)(1, 2), true);
  assert.deepEqual(widestRule([{ kind: 'days', days: 3 }, { kind: 'days', days: 9 }]), { kind: 'days', days: 9 });
  assert.deepEqual(widestRule([{ kind: 'days', days: 3 }, { kind: 'points' }]), { kind: 'points' });
  assert.equal(widestRule([]), null);
});

type Slice = { chain: string; after: ClusterTime; through: ClusterTime };

/** Chains one after the other, with gaps between them or overlapping by a little, in slices; points anywhere. */
function history(chance: Chance): { slices: Slice[]; points: (OplogUser & { id: string })[]; newest: ClusterTime } {
  const slices: Slice[] = [];
  let t = 100 * day;
  for (let chain = 0; chain <= chance.below(4); chain++) {
    t += chance.below(3) === 0 ? -chance.below(1000) : chance.below(2 * day);
    for (let k = 0; k <= chance.below(60); k++) {
      const through = t + 1 + chance.below(day / 2);
      slices.push({ chain: `c${chain}`, after: at(t), through: at(through) });
      t = through;
    }
  }
  const [from, to] = [slices[0]!.after.t, t];
  const points = Array.from({ length: 1 + chance.below(8) }, (_, k) => {
    const checkpoint = at(from + chance.below(to - from));
    const isUsable = slices.some(({ after, through }) => compareTimes(after, checkpoint) <= 0 && compareTimes(checkpoint, through) <= 0);
    return { id: `p${k}`, checkpoint, top: at(Math.min(checkpoint.t + chance.below(300), to)), ok: chance.pick([true, true, true, false, null]), isUsable, isBusy: chance.below(10) === 0 };
  });
  return { slices, points, newest: at(to) };
}

function factsOf(slices: readonly Slice[], points: readonly (OplogUser & { id: string })[]): WindowFacts {
  return { spans: slices, barriers: [], points: points.map(({ id, checkpoint, top, ok }) => ({ id, checkpoint, top, createdAtMs: checkpoint.t * 1000, proved: ok })) };
}

test('no history, rule or clock takes a moment that the rule promises, or the own time of a point', (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  let shortened = 0;
  for (let round = 0; round < 400; round++) {
    const { slices, points, newest } = history(chance);
    const rule: OplogRule = chance.below(3) === 0 ? { kind: 'points' } : { kind: 'days', days: 1 + chance.below(10) };
    const nowMs = (newest.t + chance.pick([0, 0, 5000, -5000]) * day) * 1000;
    const needed = neededOplog(points, rule, newest, nowMs);
    const kept = slices.filter(({ after, through }) => isNeeded(needed, after, through));
    shortened += kept.length < slices.length ? 1 : 0;
    const [before, then] = [factsOf(slices, points), factsOf(kept, points)];
    const reaches = (facts: WindowFacts, moment: ClusterTime): boolean =>
      facts.points.some((point) => {
        const stretch = point.proved === false ? undefined : stretchOf(facts, point);
        return stretch !== undefined && compareTimes(stretch.from, moment) <= 0 && compareTimes(moment, stretch.to) <= 0;
      });
    const border = rule.kind === 'points' ? 0 : Math.min(newest.t, nowMs / 1000) - rule.days * day;
    for (let k = 0; k < 40; k++) {
      const moment = at(slices[0]!.after.t + chance.below(newest.t - slices[0]!.after.t + 1));
      if (moment.t >= border && reaches(before, moment)) assert.ok(reaches(then, moment), `seed ${chance.seed}, round ${round}: ${moment.t} is not reached any more`);
    }
    for (const point of before.points) {
      const [old, now] = [stretchOf(before, point), stretchOf(then, point)];
      if (old === undefined) continue;
      const own = compareTimes(old.to, point.top) < 0 ? old.to : point.top;
      assert.ok(now !== undefined && compareTimes(now.to, own) >= 0, `seed ${chance.seed}, round ${round}: ${point.id} does not reach its own time`);
    }
  }
  assert.ok(shortened > 100, `${shortened} of 400 histories were shortened`);
});
