import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeProtection, showAge, usualPromise } from './protection.ts';

const hourMs = 3_600_000;
const nowMs = 1_000 * hourMs;
const good = { lastPointMs: nowMs - hourMs, newestIsBad: false, lossSeconds: 12, oplogState: 'following' };

test('a set with a young good point and archived oplog keeps its promise', () => {
  assert.deepEqual(judgeProtection(good, usualPromise, nowMs), { isProtected: true, reasons: [] });
  assert.equal(judgeProtection({ ...good, lastPointMs: nowMs - 25 * hourMs, lossSeconds: 900 }, usualPromise, nowMs).isProtected, true, 'to the letter is kept');
});

test('each way to break the promise has its sentence, and several are all told', () => {
  const why = (change: Partial<Parameters<typeof judgeProtection>[0]>): readonly string[] => judgeProtection({ ...good, ...change }, usualPromise, nowMs).reasons;
  assert.deepEqual(why({ lastPointMs: null }), ['there is no good restore point']);
  assert.deepEqual(why({ lastPointMs: nowMs - 30 * hourMs }), ['the newest good restore point is 30 h old; promised are 25 h']);
  assert.deepEqual(why({ lossSeconds: 1_000 }), ['16 min would be lost now; promised are 15 min']);
  assert.deepEqual(why({ lossSeconds: null, newestIsBad: true }), ['the newest restore point did not open when it was proved', 'no oplog is archived']);
  assert.deepEqual(why({ oplogState: 'broken' }), ['the chain of the archived oplog is broken']);
});

test('ages are said as people say them', () => {
  assert.deepEqual([0, 119_000, 120_000, 7_199_000, 7_200_000, 50 * hourMs].map(showAge), ['0 s', '119 s', '2 min', '119 min', '2 h', '2 d']);
});
