import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTimeZone, nextRescan, weekdays, type RescanSchedule, type Weekday } from './rescan-schedule.ts';

const berlin = 'Europe/Berlin';
const ms = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;

/** The runs between two moments, as the zone's clocks show them. */
function runs(schedule: RescanSchedule, timeZone: string, from: string, to: string): string[] {
  const found: string[] = [];
  for (let at = nextRescan(schedule, timeZone, ms(from)); at !== null && at < ms(to); at = nextRescan(schedule, timeZone, at)) {
    found.push(Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toString({ timeZoneName: 'never', smallestUnit: 'minute' }));
    assert.ok(found.length < 1_000, 'it comes to an end');
  }
  return found;
}

const daily = (at: string, days: readonly Weekday[] = weekdays): RescanSchedule => ({ kind: 'daily', at, days });

test('a daily run at a time that does not exist runs once that day, as much later as the clock was put forward', () => {
  assert.deepEqual(runs(daily('02:30'), berlin, '2026-03-27T12:00Z', '2026-03-30T12:00Z'), ['2026-03-28T02:30+01:00', '2026-03-29T03:30+02:00', '2026-03-30T02:30+02:00']);
});

test('a daily run at a time that is there twice runs once that day, the first time', () => {
  assert.deepEqual(runs(daily('02:30'), berlin, '2026-10-24T12:00Z', '2026-10-26T12:00Z'), ['2026-10-25T02:30+02:00', '2026-10-26T02:30+01:00']);
  // A run that was late and ended between the two is not followed by a second one.
  assert.equal(nextRescan(daily('02:30'), berlin, ms('2026-10-25T01:10Z')), ms('2026-10-26T01:30Z'));
});

test('a clock that is put forward by half an hour is met as well', () => {
  assert.deepEqual(runs(daily('02:15'), 'Australia/Lord_Howe', '2026-10-03T00:00Z', '2026-10-04T12:00Z'), ['2026-10-04T02:45+11:00']);
});

test('21:00 stays 21:00 in summer and winter', () => {
  assert.deepEqual(runs(daily('21:00'), berlin, '2026-10-24T00:00Z', '2026-10-26T00:00Z'), ['2026-10-24T21:00+02:00', '2026-10-25T21:00+01:00']);
});

test('weekdays are those of the group’s zone', () => {
  const mondays = daily('00:30', ['mon']);
  assert.deepEqual(runs(mondays, 'Pacific/Auckland', '2026-11-20T00:00Z', '2026-12-01T00:00Z'), ['2026-11-23T00:30+13:00', '2026-11-30T00:30+13:00']);
  assert.equal(nextRescan(mondays, berlin, ms('2026-11-22T23:30Z')), ms('2026-11-29T23:30Z'), 'a week later, not the same moment again');
});

test('every 30 minutes from 1 to 3: what the night does not have is not made up, what it has twice is run', () => {
  const often: RescanSchedule = { kind: 'every', minutes: 30, hours: { from: '01:00', to: '03:00' } };
  const times = (day: string, from: string, to: string) => runs(often, berlin, from, to).filter((text) => text.startsWith(day)).map((text) => text.slice(11));
  assert.deepEqual(times('2026-03-28', '2026-03-27T12:00Z', '2026-03-30T00:00Z'), ['01:00+01:00', '01:30+01:00', '02:00+01:00', '02:30+01:00']);
  assert.deepEqual(times('2026-03-29', '2026-03-28T12:00Z', '2026-03-30T00:00Z'), ['01:00+01:00', '01:30+01:00']);
  assert.deepEqual(times('2026-10-25', '2026-10-24T12:00Z', '2026-10-26T00:00Z'), ['01:00+02:00', '01:30+02:00', '02:00+02:00', '02:30+02:00', '02:00+01:00', '02:30+01:00']);
});

test('every hour: a day of 23 hours has 23 runs and one of 25 has 25', () => {
  const hourly: RescanSchedule = { kind: 'every', minutes: 60, hours: null };
  assert.equal(runs(hourly, berlin, '2026-03-28T22:59Z', '2026-03-29T22:00Z').length, 23);
  assert.equal(runs(hourly, berlin, '2026-10-24T21:59Z', '2026-10-25T23:00Z').length, 25);
});

test('hours over midnight belong to the day they begin on, and the grid begins with them', () => {
  const nightly: RescanSchedule = { kind: 'every', minutes: 180, hours: { from: '22:00', to: '05:00' } };
  assert.deepEqual(runs(nightly, 'UTC', '2026-11-24T12:00Z', '2026-11-26T00:00Z'), ['2026-11-24T22:00+00:00', '2026-11-25T01:00+00:00', '2026-11-25T04:00+00:00', '2026-11-25T22:00+00:00']);
  assert.equal(nextRescan(nightly, 'UTC', ms('2026-11-25T02:00Z')), ms('2026-11-25T04:00Z'));
});

test('off never runs, and neither does a schedule without days', () => {
  assert.equal(nextRescan({ kind: 'off' }, 'UTC', 0), null);
  assert.equal(nextRescan(daily('21:00', []), 'UTC', 0), null);
});

test('zones are known by their names', () => {
  assert.deepEqual(['UTC', berlin, 'Mars/Olympus', ''].map(isTimeZone), [true, true, false, false]);
});
