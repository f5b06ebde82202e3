import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verdictOf, type ProofFacts } from './verdict.ts';

const proof = (level: 'open' | 'full', ok: boolean): ProofFacts => ({ level, ok });

test('a point that nobody looked at has no verdict, and otherwise the last look counts', () => {
  assert.equal(verdictOf([]), null);
  assert.deepEqual(verdictOf([proof('full', true), proof('open', true)]), proof('open', true));
  assert.deepEqual(verdictOf([proof('full', true), proof('open', false)]), proof('open', false));
  assert.deepEqual(verdictOf([proof('open', false), proof('open', true)]), proof('open', true));
});

test('what a full look found is not taken back by a quick one, whatever that one finds', () => {
  assert.deepEqual(verdictOf([proof('full', false), proof('open', true)]), proof('full', false));
  assert.deepEqual(verdictOf([proof('full', false), proof('open', false), proof('open', true)]), proof('full', false));
  assert.deepEqual(verdictOf([proof('full', false), proof('open', true), proof('full', true)]), proof('full', true));
  assert.deepEqual(verdictOf([proof('open', false), proof('full', true)]), proof('full', true));
});
