import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timesOfBoth, verdictOf, verdictOfBoth, type Judged, type ProofFacts } from './verdict.ts';

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

test('of what two places know the later look counts, whatever the clocks say', () => {
  type Dated = ProofFacts & { readonly atMs: number };
  const dated = (atMs: number, ok: boolean): Dated => ({ ...proof('open', ok), atMs });
  const knows = (last: Dated, ...atMs: number[]): Judged<Dated> => ({ proof: last, proofsAtMs: [...atMs, last.atMs] });
  const [ahead, bad, good] = [dated(9_000, true), dated(20, false), dated(30, true)];
  assert.deepEqual(verdictOfBoth(knows(ahead), knows(bad, 9_000)), bad, 'the repository knows more');
  assert.deepEqual(verdictOfBoth(knows(bad, 9_000), knows(ahead)), bad, 'the repository was asked before');
  assert.deepEqual(verdictOfBoth(knows(good, 9_000, 20), knows(bad, 9_000)), good);
  assert.deepEqual(verdictOfBoth(knows(good, 9_000), knows(bad, 9_000)), bad, 'found elsewhere, nobody knows whether before');
  assert.deepEqual(verdictOfBoth(knows(bad), { proof: null }), bad);
  assert.deepEqual(verdictOfBoth({ proof: null }, knows(bad)), bad);
  assert.deepEqual(timesOfBoth(knows(good, 9_000), knows(bad, 9_000)), [9_000, 30, 20]);
});
