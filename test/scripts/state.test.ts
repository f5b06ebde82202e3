import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endsAlike } from '../../scripts/torture/state.ts';

test('two capped collections are alike when they end in the same documents, however many of the oldest are gone', () => {
  assert.ok(endsAlike(['a', 'b', 'c'], ['b', 'c']));
  assert.ok(endsAlike([], []));
  assert.ok(!endsAlike(['a', 'b', 'c'], ['a', 'b']));
  assert.ok(!endsAlike(['a'], []));
});
