import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { believe, believedNow, type BelievedTime } from './believed-time.ts';
import { planRetention, type KeptPoint } from './retention.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const startMs = 1_800_000_000_000;
const first: BelievedTime = { confirmedMs: startMs, leaps: [] };

/** Looked at each minute, as a server does. */
function lived(from: BelievedTime, wallMs: number, ms: number): BelievedTime {
  let now = from;
  for (let gone = 0; gone < ms; gone += 600_000) now = believe(now, wallMs + gone + 600_000, 600_000);
  return now;
}

test('time that a server lives through is believed at once, and so are small corrections', () => {
  const day = lived(first, startMs, dayMs);
  assert.equal(believedNow(day, startMs + dayMs), startMs + dayMs);
  const corrected = believe(day, startMs + dayMs + 0.5 * hourMs, 0);
  assert.equal(believedNow(corrected, startMs + dayMs + 0.5 * hourMs), startMs + dayMs + 0.5 * hourMs);
  assert.equal(believedNow(day, startMs - 400 * dayMs), startMs - 400 * dayMs, 'a clock that is behind is followed');
});

test('a leap ahead is believed when it has stood for as long as it is, and one that is set back before never was', () => {
  const leapt = believe(first, startMs + 3 * dayMs, 0);
  assert.equal(believedNow(leapt, startMs + 3 * dayMs), startMs);
  const soon = lived(leapt, startMs + 3 * dayMs, 2 * dayMs);
  assert.equal(believedNow(soon, startMs + 5 * dayMs), startMs + 2 * dayMs, 'what was lived through since is');
  const later = lived(soon, startMs + 5 * dayMs, 1.1 * dayMs);
  assert.ok(Math.abs(believedNow(later, startMs + 6.1 * dayMs) - (startMs + 6.1 * dayMs)) < hourMs);
  const back = believe(soon, startMs + 2 * dayMs, 0);
  assert.deepEqual(back, { confirmedMs: startMs + 2 * dayMs, leaps: [] });
});

test('a machine that is off for most of each day is behind by no more than two of its nights', () => {
  let now = first;
  let wallMs = startMs;
  for (let day = 0; day < 60; day++) {
    now = lived(now, wallMs, 8 * hourMs);
    wallMs += 8 * hourMs;
    assert.ok(wallMs - believedNow(now, wallMs) <= 32 * hourMs, `day ${day}`);
    wallMs += 16 * hourMs;
    now = believe(now, wallMs, 0);
  }
});

test('a clock that was ten years behind at the start of a machine and is put right is believed at once', () => {
  const week = lived(first, startMs, 7 * dayMs);
  const behind = lived(week, startMs - 3_650 * dayMs, hourMs);
  const right = believe(behind, startMs + 7 * dayMs + hourMs, 0);
  assert.equal(believedNow(right, startMs + 7 * dayMs + hourMs), startMs + 7 * dayMs + hourMs);
});

/**
 * A machine that is server, host and database in one: whatever its clock says is the time of its points too. `wrong`: how far the clock
 * is set ahead, and what part of that it stands for before somebody sets it right; `off`: the machine is not there.
 */
type Happening = { readonly kind: 'backups'; readonly days: number } | { readonly kind: 'wrong'; readonly aheadDays: number; readonly part: number; readonly restarts: boolean } | { readonly kind: 'off'; readonly days: number };

const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('backups' as const), days: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ kind: fc.constant('wrong' as const), aheadDays: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 300, max: 4_000 })), part: fc.double({ min: 0, max: 0.9, noNaN: true }), restarts: fc.boolean() }),
    fc.record({ kind: fc.constant('off' as const), days: fc.integer({ min: 1, max: 20 }) }),
  ),
  { minLength: 1, maxLength: 12 },
);

test('on a machine whose clock leaps ahead for a while, no point goes that is younger than its rule says by the time that really passed', () => {
  fc.assert(
    fc.property(happenings, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 6 }), (story, keptDays, most) => {
      let [trueMs, aheadMs, belief, count, deleted] = [startMs, 0, first, 0, 0];
      let points: (KeptPoint & { readonly trueMs: number })[] = [];
      const rules = [{ name: 'r', timeZone: 'UTC', retention: { keep: { kind: 'days' as const, days: keptDays }, weekly: null, monthly: null, yearly: null } }];
      const apply = (): void => {
        const { goes } = planRetention(points, rules, believedNow(belief, trueMs + aheadMs));
        for (const id of goes) {
          const gone = points.find((one) => one.id === id)!;
          assert.ok(trueMs - gone.trueMs >= keptDays * dayMs, `${id} went after ${(trueMs - gone.trueMs) / dayMs} days`);
          deleted++;
        }
        points = points.filter(({ id }) => !goes.includes(id));
      };
      const live = (ms: number): void => {
        for (let left = ms; left > 0; left -= 6 * hourMs) {
          const step = Math.min(left, 6 * hourMs);
          trueMs += step;
          belief = believe(belief, trueMs + aheadMs, step);
          points.push({ id: `p${count++}`, createdAtMs: trueMs + aheadMs, trueMs, ok: true, bound: [] });
          apply();
        }
      };
      for (const next of story) {
        if (next.kind === 'backups') live(next.days * dayMs);
        else if (next.kind === 'off') {
          trueMs += next.days * dayMs;
          belief = believe(belief, trueMs + aheadMs, 0);
          apply();
        } else {
          aheadMs = next.aheadDays * dayMs;
          belief = believe(belief, trueMs + aheadMs, 0);
          live(Math.min(next.part * aheadMs, most * dayMs));
          if (next.restarts) belief = believe(belief, trueMs + aheadMs, 0);
          aheadMs = 0;
          belief = believe(belief, trueMs, 0);
        }
      }
      live(2 * dayMs);
      return deleted >= 0;
    }),
    { numRuns: 200 },
  );
});

test('points go by their rule where no clock was wrong, so that the promise above is not kept by keeping everything', () => {
  const belief = lived(first, startMs, 40 * dayMs);
  const points = Array.from({ length: 40 }, (_, day): KeptPoint => ({ id: `p${day}`, createdAtMs: startMs + day * dayMs, ok: true, bound: [] }));
  const rules = [{ name: 'r', timeZone: 'UTC', retention: { keep: { kind: 'days' as const, days: 7 }, weekly: null, monthly: null, yearly: null } }];
  assert.equal(planRetention(points, rules, believedNow(belief, startMs + 40 * dayMs)).goes.length, 33);
});
