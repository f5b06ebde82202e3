import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fillSubject, judge, nextTry, openHour, triedForMs } from './notification-rule.ts';

const rule = { on: ['failed', 'alarm'], about: [] as string[], lastRetryOnly: true };
const failed = { what: 'failed', names: ['set:shop', 'group:prod'], willTryAgain: false };

test('a rule hears what it is about: everything, a set, or whatever a group has', () => {
  assert.equal(judge(rule, failed), 'told');
  assert.equal(judge({ ...rule, about: ['set:shop'] }, failed), 'told');
  assert.equal(judge({ ...rule, about: ['group:prod', 'set:other'] }, failed), 'told');
  assert.equal(judge({ ...rule, about: ['set:other'] }, failed), 'not-its');
  assert.equal(judge(rule, { ...failed, what: 'success' }), 'not-its');
});

test('a failure that is tried again by itself is told only where every try is wanted; an alarm is told at once', () => {
  assert.equal(judge(rule, { ...failed, willTryAgain: true }), 'muted');
  assert.equal(judge({ ...rule, lastRetryOnly: false }, { ...failed, willTryAgain: true }), 'told');
  assert.equal(judge(rule, { ...failed, what: 'alarm', willTryAgain: true }), 'told');
});

test('tries come ever later, never after 24 hours, and then no more', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 50].map((tries) => nextTry(0, tries, 0)! / 1000);
  assert.deepEqual(waits, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
  assert.equal(nextTry(0, 60, triedForMs - 1), triedForMs);
  assert.equal(nextTry(0, 60, triedForMs), null);
});

test('no hour has more messages than its limit, whenever they come', () => {
  fc.assert(fc.property(fc.array(fc.nat(2_000_000), { maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (gaps, limit) => {
    const hour = openHour(limit);
    const sent: number[] = [];
    let nowMs = 0;
    for (const gap of gaps) {
      nowMs += gap;
      if (hour.hasRoom(nowMs)) {
        hour.count(nowMs);
        sent.push(nowMs);
      }
    }
    for (const at of sent) assert.ok(sent.filter((ms) => ms > at - 3_600_000 && ms <= at).length <= limit);
  }));
});

test('a clock that is set back opens no hour twice and closes none for ever', () => {
  const hour = openHour(1);
  hour.count(10_000_000);
  assert.equal(hour.hasRoom(0), true);
});

test('a subject has its fields, and what is not a field stays', () => {
  assert.equal(fillSubject('[{server}] {title} {nothing} {constructor}', { server: 'tide', title: 'x {server}' }), '[tide] x {server} {nothing} {constructor}');
});
