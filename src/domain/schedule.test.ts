import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cron } from 'croner';
import fc from 'fast-check';
import { weekdays } from './rescan-schedule.ts';
import { elapsed, nextOpening, nextRun, nextRuns, type PolicySchedule } from './schedule.ts';

const ms = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const shown = (runs: readonly number[], timeZone = 'Europe/Copenhagen'): string[] => runs.map((at) => Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toString({ timeZoneName: 'never', smallestUnit: 'minute' }));
const next = (schedule: PolicySchedule, after: string, count: number, timeZone = 'Europe/Copenhagen'): string[] => shown(nextRuns(schedule, timeZone, ms(after), count), timeZone);

const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'America/Santiago', 'Africa/Cairo'] as const;
const time = fc.record({ hour: fc.integer({ min: 0, max: 23 }), minute: fc.integer({ min: 0, max: 59 }) });
const at = ({ hour, minute }: { hour: number; minute: number }): string => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
const tenYears = fc.integer({ min: ms('2026-01-01T00:00Z') / 60_000, max: ms('2036-01-01T00:00Z') / 60_000 }).map((minute) => minute * 60_000);

/** What croner makes of a pattern, from a moment on. */
function reference(pattern: string, timeZone: string, afterMs: number, count: number): number[] {
  return new Cron(pattern, { timezone: timeZone, paused: true }).nextRuns(count, new Date(afterMs)).map((date) => date.getTime());
}

test('daily and on weekdays, for random times, zones and moments of ten years, is what a cron library says', () => {
  fc.assert(
    fc.property(time, fc.subarray([...weekdays], { minLength: 1 }), fc.constantFrom(...zones), tenYears, (clock, days, timeZone, afterMs) => {
      const pattern = `${clock.minute} ${clock.hour} * * ${days.join(',')}`;
      assert.deepEqual(nextRuns({ kind: 'daily', at: at(clock), days }, timeZone, afterMs, 4), reference(pattern, timeZone, afterMs, 4), `${pattern} ${timeZone} ${afterMs}`);
    }),
    { numRuns: 400 },
  );
});

test('every day of ten years at one time is what a cron library says, in every zone: within the hour that a day may not have, and at its begin and end', () => {
  for (const timeZone of zones) {
    const after = ms('2026-01-01T00:00Z');
    assert.deepEqual(nextRuns({ kind: 'daily', at: '02:30', days: weekdays }, timeZone, after, 3_652), reference('30 2 * * *', timeZone, after, 3_652), timeZone);
    for (const hour of [0, 1, 2, 3]) assert.deepEqual(nextRuns({ kind: 'daily', at: at({ hour, minute: 0 }), days: weekdays }, timeZone, after, 1_000), reference(`0 ${hour} * * *`, timeZone, after, 1_000), `${timeZone} ${hour}`);
  }
});

test('the nth or last weekday, or a day, of chosen months is what a cron library says', () => {
  const nth = fc.constantFrom(1, 2, 3, 4, 'last' as const);
  fc.assert(
    fc.property(time, nth, fc.constantFrom(...weekdays), fc.subarray([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], { minLength: 1 }), fc.constantFrom(...zones), tenYears, (clock, which, weekday, months, timeZone, afterMs) => {
      const cron = weekdays.indexOf(weekday) + 1;
      const pattern = `${clock.minute} ${clock.hour} * ${months.join(',')} ${cron % 7}#${which === 'last' ? 'L' : which}`;
      const schedule: PolicySchedule = { kind: 'monthly', at: at(clock), on: { kind: 'weekday', nth: which as 1, weekday }, months };
      assert.deepEqual(nextRuns(schedule, timeZone, afterMs, 3), reference(pattern, timeZone, afterMs, 3), `${pattern} ${timeZone} ${afterMs}`);
    }),
    { numRuns: 200 },
  );
  const last: PolicySchedule = { kind: 'monthly', at: '21:00', on: { kind: 'day', day: 'last' }, months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] };
  assert.deepEqual(nextRuns(last, 'Europe/Berlin', ms('2026-01-01T00:00Z'), 60), reference('0 21 L * *', 'Europe/Berlin', ms('2026-01-01T00:00Z'), 60));
});

test('a grid that divides the hour is what a cron library says, over both nights on which clocks change', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 5, 10, 15, 20, 30, 60), fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'), tenYears, (minutes, timeZone, afterMs) => {
      assert.deepEqual(nextRuns({ kind: 'every', minutes, hours: null, days: weekdays }, timeZone, afterMs, 60), reference(minutes === 60 ? '0 * * * *' : `*/${minutes} * * * *`, timeZone, afterMs, 60));
    }),
    { numRuns: 100 },
  );
});

test('02:30 runs once in the night that has none, at the first moment after the gap, and once in the night that has two', () => {
  const daily: PolicySchedule = { kind: 'daily', at: '02:30', days: weekdays };
  assert.deepEqual(next(daily, '2027-03-27T12:00Z', 2), ['2027-03-28T03:00+02:00', '2027-03-29T02:30+02:00']);
  assert.deepEqual(next(daily, '2026-10-24T12:00Z', 2), ['2026-10-25T02:30+02:00', '2026-10-26T02:30+01:00']);
});

test('every half hour within permitted hours is every real half hour on both nights', () => {
  const everyHalf: PolicySchedule = { kind: 'every', minutes: 30, hours: { from: '01:00', to: '04:00' }, days: weekdays };
  assert.deepEqual(next(everyHalf, '2027-03-27T12:00Z', 5), ['2027-03-28T01:00+01:00', '2027-03-28T01:30+01:00', '2027-03-28T03:00+02:00', '2027-03-28T03:30+02:00', '2027-03-29T01:00+02:00']);
  assert.equal(next(everyHalf, '2026-10-24T12:00Z', 9).filter((run) => run.startsWith('2026-10-25')).length, 8);
});

test('hours over midnight belong to the day on which they begin', () => {
  const friday: PolicySchedule = { kind: 'every', minutes: 240, hours: { from: '22:00', to: '07:00' }, days: ['fri'] };
  assert.deepEqual(next(friday, '2026-11-26T00:00Z', 4, 'UTC'), ['2026-11-27T22:00+00:00', '2026-11-28T02:00+00:00', '2026-11-28T06:00+00:00', '2026-12-04T22:00+00:00']);
});

test('asking from any moment before the next run gives that run, and runs come one after the other', () => {
  const schedule = fc.oneof(
    fc.record({ kind: fc.constant('daily' as const), at: time.map(at), days: fc.subarray([...weekdays], { minLength: 1 }) }),
    fc.record({ kind: fc.constant('every' as const), minutes: fc.integer({ min: 1, max: 1440 }), hours: fc.option(fc.record({ from: time.map(at), to: time.map(at) })), days: fc.subarray([...weekdays], { minLength: 1 }) }),
  );
  fc.assert(
    fc.property(schedule, fc.constantFrom(...zones), tenYears, fc.double({ min: 0, max: 0.999, noNaN: true }), (given, timeZone, afterMs, part) => {
      const first = nextRun(given, timeZone, afterMs);
      if (first === null) return;
      assert.ok(first > afterMs);
      assert.equal(nextRun(given, timeZone, Math.floor(afterMs + (first - afterMs) * part)), first);
      assert.deepEqual(elapsed(given, timeZone, afterMs, first), { moments: 1, lastMs: first, isMore: false, nextMs: nextRun(given, timeZone, first) });
    }),
    { numRuns: 400 },
  );
});

test('a window says when it is open, over midnight and over a night without 02:30', () => {
  const window = { from: '22:00', to: '02:30', days: ['sat' as const] };
  const opening = nextOpening(window, 'Europe/Copenhagen', ms('2027-03-26T12:00Z'))!;
  assert.deepEqual(shown([opening.opensMs, opening.closesMs]), ['2027-03-27T22:00+01:00', '2027-03-28T03:00+02:00']);
  assert.deepEqual(nextOpening(window, 'Europe/Copenhagen', opening.opensMs), opening);
  assert.deepEqual(shown([nextOpening(window, 'Europe/Copenhagen', opening.closesMs)!.opensMs]), ['2027-04-03T22:00+02:00']);
  assert.equal(nextOpening({ ...window, days: [] }, 'UTC', 0), null);
});

test('what runs all the time runs a minute after its last end, or when its hours begin', () => {
  assert.deepEqual(next({ kind: 'continuous', hours: null }, '2026-11-26T10:00Z', 3, 'UTC'), ['2026-11-26T10:01+00:00']);
  assert.deepEqual(next({ kind: 'continuous', hours: { from: '20:00', to: '06:00' } }, '2026-11-26T10:00Z', 1, 'UTC'), ['2026-11-26T20:00+00:00']);
  assert.deepEqual(next({ kind: 'continuous', hours: { from: '20:00', to: '06:00' } }, '2026-11-26T03:00Z', 1, 'UTC'), ['2026-11-26T03:01+00:00']);
});

test('what nobody starts by the clock has no next run', () => {
  for (const schedule of [{ kind: 'manual' }, { kind: 'after', policy: 'x' }, { kind: 'daily', at: '10:00', days: [] }] as const) assert.equal(nextRun(schedule, 'UTC', 0), null);
});

test('what lies in a long outage is counted up to a limit', () => {
  assert.deepEqual(elapsed({ kind: 'every', minutes: 1, hours: null, days: weekdays }, 'UTC', 0, 86_400_000, 100), { moments: 100, lastMs: 6_000_000, isMore: true, nextMs: 86_460_000 });
});
