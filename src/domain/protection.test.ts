import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeProtection, pointHoursOf, showAge, strictest, usualPromise } from './protection.ts';
import type { PolicySchedule } from './schedule.ts';

const hourMs = 3_600_000;
const nowMs = 1_000 * hourMs;
const good = { lastPointMs: nowMs - hourMs, newestIsBad: false, unproved: 0, isArchived: true, lossSeconds: 12, outOfReach: null, oplogState: 'following' };

test('a set with a young good point and archived oplog keeps its promise', () => {
  assert.deepEqual(judgeProtection(good, usualPromise, nowMs), { isProtected: true, reasons: [] });
  assert.equal(judgeProtection({ ...good, lastPointMs: nowMs - 25 * hourMs, lossSeconds: 900 }, usualPromise, nowMs).isProtected, true, 'to the letter is kept');
});

test('each way to break the promise has its sentence, and several are all told', () => {
  const why = (change: Partial<Parameters<typeof judgeProtection>[0]>): readonly string[] => judgeProtection({ ...good, ...change }, usualPromise, nowMs).reasons;
  assert.deepEqual(why({ lastPointMs: null }), ['there is no good restore point']);
  assert.deepEqual(why({ lastPointMs: nowMs - 30 * hourMs }), ['the newest good restore point is 30 h old; promised are 25 h']);
  assert.deepEqual(why({ lossSeconds: 1_000 }), ['16 min would be lost now; promised are 15 min']);
  assert.deepEqual(why({ lastPointMs: nowMs - 30 * hourMs, unproved: 2 }), ['the newest good restore point is 30 h old; promised are 25 h, and 2 newer ones were never opened to prove them']);
  assert.deepEqual(why({ isArchived: false, lossSeconds: null, newestIsBad: true }), ['the newest restore point did not open when it was proved', 'no oplog is archived']);
  assert.deepEqual(why({ outOfReach: { afterMs: 0, alarm: 'oplog barrier' } }), ['nothing written after 1970-01-01T00:00:00.000Z can be restored before a new restore point is there (oplog barrier)']);
  assert.deepEqual(why({ outOfReach: { afterMs: null, alarm: null } }), ['nothing of the archived oplog can be restored before a new restore point is there']);
  assert.deepEqual(why({ lastPointMs: null, lossSeconds: null, outOfReach: { afterMs: null, alarm: null } }), ['there is no good restore point'], 'the first one is all that is missing');
  assert.deepEqual(why({ oplogState: 'broken' }), ['the chain of the archived oplog is broken']);
});

test('ages are said as people say them', () => {
  assert.deepEqual([0, 119_000, 120_000, 7_199_000, 7_200_000, 50 * hourMs].map(showAge), ['0 s', '119 s', '2 min', '119 min', '2 h', '2 d']);
});

test('a schedule promises its longest pause and an hour', () => {
  const allDays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
  const noon = Temporal.Instant.from('2026-06-03T12:00Z').epochMilliseconds;
  const of = (schedule: PolicySchedule): number | null => pointHoursOf(schedule, 'UTC', noon);
  const cases: [PolicySchedule, number | null][] = [
    [{ kind: 'manual' }, null],
    [{ kind: 'after', policy: 'p' }, null],
    [{ kind: 'daily', at: '22:00', days: allDays }, 25],
    [{ kind: 'daily', at: '22:00', days: ['sun'] }, 7 * 24 + 1],
    [{ kind: 'daily', at: '22:00', days: ['mon', 'tue', 'wed', 'thu', 'fri'] }, 3 * 24 + 1],
    [{ kind: 'monthly', at: '01:00', on: { kind: 'day', day: 1 }, months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }, 31 * 24 + 1],
    [{ kind: 'every', minutes: 30, hours: null, days: allDays }, 2],
    [{ kind: 'every', minutes: 60, hours: { from: '08:00', to: '18:00' }, days: allDays }, 14 + 1 + 1],
    [{ kind: 'every', minutes: 60, hours: { from: '08:00', to: '18:00' }, days: ['mon', 'tue', 'wed', 'thu', 'fri'] }, 62 + 1 + 1],
    [{ kind: 'continuous', hours: null }, 25],
    [{ kind: 'continuous', hours: { from: '20:00', to: '02:00' } }, 18 + 1],
  ];
  for (const [schedule, hours] of cases) assert.equal(of(schedule), hours, JSON.stringify(schedule));
  // The day on which the clocks go back has 25 hours.
  assert.equal(pointHoursOf({ kind: 'daily', at: '22:00', days: allDays }, 'Europe/Berlin', Temporal.Instant.from('2026-10-20T12:00Z').epochMilliseconds), 26);
});

test('of several promises each part counts at its strictest, and the usual one where nobody promises', () => {
  assert.deepEqual(strictest([], usualPromise), usualPromise);
  assert.deepEqual(strictest([{ lossSeconds: 60, pointHours: 169 }, { lossSeconds: 900, pointHours: 25 }], usualPromise), { lossSeconds: 60, pointHours: 25 });
  assert.deepEqual(strictest([{ lossSeconds: 60, pointHours: Infinity }], usualPromise), { lossSeconds: 60, pointHours: 25 });
});
