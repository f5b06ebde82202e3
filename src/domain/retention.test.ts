import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { weekdays } from './rescan-schedule.ts';
import { planRetention, type KeptPoint, type Retention, type RetentionRule } from './retention.ts';

const dayMs = 86_400_000;
const ms = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const point = (id: string, createdAtMs: number, more: Partial<KeptPoint> = {}): KeptPoint => ({ id, createdAtMs, ok: true, bound: [], ...more });
const days = (count: number): Retention => ({ keep: { kind: 'days', days: count }, weekly: null, monthly: null, yearly: null });
const rule = (retention: Retention, timeZone = 'UTC'): RetentionRule => ({ name: 'nightly', timeZone, retention });
/** One a day at 02:00 UTC, named by its day. */
const daily = (from: string, count: number): KeptPoint[] => Array.from({ length: count }, (_, at) => {
  const createdAtMs = ms(`${from}T02:00Z`) + at * dayMs;
  return point(Temporal.Instant.fromEpochMilliseconds(createdAtMs).toString().slice(0, 10), createdAtMs);
});
const staying = (points: readonly KeptPoint[], rules: readonly RetentionRule[], now: string): string[] => planRetention(points, rules, ms(now)).stays.map(({ id }) => id);

test('seven days keep seven points that are made daily, and fewer days never fewer than three', () => {
  const points = daily('2026-11-01', 20);
  assert.deepEqual(staying(points, [rule(days(7))], '2026-11-20T02:10Z'), points.slice(-7).map(({ id }) => id));
  assert.deepEqual(staying(points, [rule(days(1))], '2026-11-20T02:10Z'), points.slice(-3).map(({ id }) => id));
});

test('a set whose backups fail for a year loses nothing, and a clock that is a year ahead deletes nothing', () => {
  const points = daily('2026-11-01', 20);
  assert.equal(staying(points, [rule(days(30))], '2027-11-20T02:10Z').length, 20);
});

test('a point with a failed proof takes no other\'s place and goes with those of its age', () => {
  const points = daily('2026-11-01', 6).map((one, at) => (at >= 3 ? { ...one, ok: false } : one));
  assert.equal(staying(points, [rule({ ...days(1), keep: { kind: 'points', points: 3 } })], '2026-11-06T03:00Z').length, 6);
  const more = [...points, ...daily('2026-11-07', 3)];
  assert.deepEqual(staying(more, [rule({ ...days(1), keep: { kind: 'points', points: 3 } })], '2026-11-09T03:00Z'), ['2026-11-07', '2026-11-08', '2026-11-09']);
});

test('points that were never proved push out no proved one, and count where nothing was ever proved', () => {
  const proved = daily('2026-11-01', 5);
  const unproved = daily('2026-11-06', 20).map((one) => ({ ...one, ok: null }));
  const retention: Retention = { keep: { kind: 'points', points: 4 }, weekly: { count: 1, day: 'sun' }, monthly: null, yearly: null };
  const stays = staying([...proved, ...unproved], [rule(retention)], '2026-11-25T03:00Z');
  assert.deepEqual(stays.slice(0, 5), proved.map(({ id }) => id), 'the newest four, and the first of the newest week that has a proved one');
  assert.equal(staying([...proved, ...unproved], [rule(days(5))], '2026-11-25T03:00Z').length, 25, 'age counts from the newest proved one');
  const later = daily('2026-11-26', 3);
  assert.deepEqual(staying([...proved, ...unproved, ...later], [rule(days(5))], '2026-11-28T03:00Z'), [...unproved, ...later].slice(-5).map(({ id }) => id), 'they go by age like others');
  assert.deepEqual(staying(unproved, [rule(days(1))], '2026-11-25T03:00Z'), unproved.slice(-3).map(({ id }) => id));
});

test('weekly, monthly and yearly points are the first of their weeks, months and years, as chosen', () => {
  const points = daily('2024-01-01', 800);
  const retention: Retention = { ...days(3), weekly: { count: 2, day: 'sun' }, monthly: { count: 3, week: 2 }, yearly: { count: 2, month: 7 } };
  const stays = staying(points, [rule(retention)], '2026-03-11T00:00Z');
  assert.deepEqual(stays, ['2024-07-01', '2025-07-01', '2026-01-08', '2026-02-08', '2026-03-01', '2026-03-08', '2026-03-09', '2026-03-10']);
  const last: Retention = { ...days(3), monthly: { count: 2, week: 'last' } };
  assert.deepEqual(staying(points, [rule(last)], '2026-03-11T00:00Z'), ['2026-01-25', '2026-02-22', '2026-03-08', '2026-03-09', '2026-03-10']);
});

test('a week without a point in its first days is kept by the first there is', () => {
  const points = [point('wed', ms('2026-11-04T02:00Z')), point('thu', ms('2026-11-05T02:00Z')), ...daily('2026-11-09', 6)];
  assert.ok(staying(points, [rule({ ...days(1), weekly: { count: 2, day: 'sun' } })], '2026-11-14T03:00Z').includes('wed'));
});

test('the week is that of the policy\'s zone', () => {
  const points = [point('a', ms('2026-11-07T23:30Z')), point('b', ms('2026-11-08T12:00Z')), ...daily('2026-11-10', 4)];
  const weekly: Retention = { ...days(1), weekly: { count: 1, day: 'sun' } };
  assert.ok(staying(points, [rule(weekly, 'Europe/Berlin')], '2026-11-13T03:00Z').includes('a'));
  assert.ok(staying(points, [rule(weekly, 'UTC')], '2026-11-13T03:00Z').includes('b'));
});

test('without a rule nothing goes, and what is bound stays with its reason', () => {
  const points = daily('2026-01-01', 10);
  assert.deepEqual(planRetention(points, [], ms('2026-12-01T00:00Z')).goes, []);
  const held = points.map((one, at) => (at === 0 ? { ...one, bound: ['it is held: audit'] } : one));
  const plan = planRetention(held, [rule(days(2))], ms('2026-12-01T00:00Z'));
  assert.deepEqual(plan.stays[0], { id: '2026-01-01', why: ['it is held: audit'] });
  assert.equal(plan.goes.length, 6);
});

const retentions: fc.Arbitrary<Retention> = fc.record({
  keep: fc.oneof(fc.record({ kind: fc.constant('days' as const), days: fc.integer({ min: 1, max: 60 }) }), fc.record({ kind: fc.constant('points' as const), points: fc.integer({ min: 1, max: 40 }) })),
  weekly: fc.option(fc.record({ count: fc.integer({ min: 1, max: 8 }), day: fc.constantFrom(...weekdays) })),
  monthly: fc.option(fc.record({ count: fc.integer({ min: 1, max: 6 }), week: fc.constantFrom<1 | 2 | 3 | 4 | 'last'>(1, 2, 3, 4, 'last') })),
  yearly: fc.option(fc.record({ count: fc.integer({ min: 1, max: 3 }), month: fc.integer({ min: 1, max: 12 }) })),
});

/** The table of docs/design/retention.md read again, point by point and day by day. */
function mustStay(one: KeptPoint, points: readonly KeptPoint[], { retention, timeZone }: RetentionRule, nowMs: number): boolean {
  const toCome = (other: KeptPoint): boolean => other.createdAtMs > nowMs + 3_600_000;
  if (toCome(one)) return true;
  points = points.filter((other) => !toCome(other));
  const good = points.filter(({ ok }) => ok === (points.some((other) => other.ok === true) ? true : null));
  const newer = good.filter((other) => other.createdAtMs > one.createdAtMs || (other.createdAtMs === one.createdAtMs && other.id > one.id)).length;
  if (newer < 3 || one.bound.length > 0) return true;
  const { keep, weekly, monthly, yearly } = retention;
  if (keep.kind === 'points' ? newer < keep.points : Math.min(nowMs, Math.max(...good.map(({ createdAtMs }) => createdAtMs))) - one.createdAtMs < keep.days * dayMs) return true;
  if (!good.includes(one)) return false;
  const day = (createdAtMs: number): Temporal.PlainDate => Temporal.Instant.fromEpochMilliseconds(createdAtMs).toZonedDateTimeISO(timeZone).toPlainDate();
  const begins = (wanted: (date: Temporal.PlainDate) => boolean) => (createdAtMs: number): string => {
    let date = day(createdAtMs);
    while (!wanted(date)) date = date.subtract({ days: 1 });
    return date.toString();
  };
  const isFirst = (count: number, beginOf: (createdAtMs: number) => string): boolean => {
    const own = beginOf(one.createdAtMs);
    const later = new Set(good.map(({ createdAtMs }) => beginOf(createdAtMs)).filter((begin) => begin > own));
    const before = good.some((other) => beginOf(other.createdAtMs) === own && (other.createdAtMs < one.createdAtMs || (other.createdAtMs === one.createdAtMs && other.id < one.id)));
    return later.size < count && !before;
  };
  return (
    (weekly !== null && isFirst(weekly.count, begins((date) => date.dayOfWeek === weekdays.indexOf(weekly.day) + 1))) ||
    (monthly !== null && isFirst(monthly.count, begins((date) => date.day === (monthly.week === 'last' ? date.daysInMonth - 6 : 1 + 7 * (monthly.week - 1))))) ||
    (yearly !== null && isFirst(yearly.count, begins((date) => date.day === 1 && date.month === yearly.month)))
  );
}

test('for random points, rules and clocks exactly those go that a second reading of the rules lets go', () => {
  const points = fc.array(fc.record({ hours: fc.integer({ min: 0, max: 24 * 400 }), ok: fc.constantFrom(true, true, true, null, false), held: fc.constantFrom(false, false, false, false, true) }), { maxLength: 60 });
  fc.assert(
    fc.property(points, fc.array(fc.tuple(retentions, fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York')), { minLength: 1, maxLength: 2 }), fc.integer({ min: -1000, max: 24 * 800 }), (made, given, nowHours) => {
      const all = made.map(({ hours, ok, held }, at) => point(`p${at}`, ms('2026-01-01T00:30Z') + hours * 3_600_000, { ok, bound: held ? ['held'] : [] }));
      const rules = given.map(([retention, timeZone]) => rule(retention, timeZone));
      const nowMs = ms('2026-01-01T00:30Z') + nowHours * 3_600_000;
      const { goes, stays } = planRetention(all, rules, nowMs);
      assert.equal(goes.length + stays.length, all.length);
      for (const one of all) assert.equal(!goes.includes(one.id), rules.some((each) => mustStay(one, all, each, nowMs)), one.id);
      // Carrying it out changes nothing for what stays.
      const left = all.filter(({ id }) => !goes.includes(id));
      assert.deepEqual(planRetention(left, rules, nowMs).goes, []);
    }),
    { numRuns: 300 },
  );
});
