import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plural, showBytes, showClusterTime, showCount, showMoment, showSeconds } from './format.ts';

test('sizes have at most one decimal and the unit that keeps them below 1000', () => {
  const pairs: [number, string][] = [[0, '0 B'], [999, '999 B'], [999.6, '1.0 kB'], [1000, '1.0 kB'], [1536, '1.5 kB'], [99_949, '99.9 kB'], [999_600, '1.0 MB'], [3_500_000_000, '3.5 GB'], [123_456_789_012_345, '123 TB']];
  for (const [bytes, text] of pairs) assert.equal(showBytes(bytes), text);
});

test('durations name the unit that fits', () => {
  const pairs: [number, string][] = [[0.04, '0.0 s'], [9.94, '9.9 s'], [42.4, '42 s'], [300, '5 min'], [5 * 3600, '5.0 h'], [30 * 86_400, '30 days']];
  for (const [seconds, text] of pairs) assert.equal(showSeconds(seconds), text);
});

test('counts are grouped, and one is one', () => {
  assert.equal(showCount(1234567), '1,234,567');
  assert.equal(showCount(999), '999');
  assert.deepEqual([plural(1, 'point'), plural(1200, 'point'), plural(0, 'repository', 'repositories')], ['1 point', '1,200 points', '0 repositories']);
});

test('a moment is shown with its zone, in a form that --at takes, on both sides of a clock change', () => {
  assert.equal(showMoment(1_795_464_567_900, 'UTC'), '2026-11-23T20:09:27Z');
  assert.equal(showMoment(1_795_464_567_000, 'Europe/Copenhagen'), '2026-11-23T21:09:27+01:00');
  const beforeAndAfter = [Date.UTC(2026, 9, 25, 0, 30), Date.UTC(2026, 9, 25, 1, 30)].map((ms) => showMoment(ms, 'Europe/Copenhagen'));
  assert.deepEqual(beforeAndAfter, ['2026-10-25T02:30:00+02:00', '2026-10-25T02:30:00+01:00']);
});

test('wall clock and cluster time stand side by side', () => {
  assert.equal(showClusterTime({ t: 1_795_464_567, i: 96 }, 'UTC'), '2026-11-23T20:09:27Z (1795464567,96)');
  assert.equal(showClusterTime(null, 'UTC'), '–');
});
