import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differencesOf, differencesOfHashes, endsAlike, type State } from '../../scripts/torture/state.ts';

test('two capped collections are alike when they end in the same documents, however many of the oldest are gone', () => {
  assert.ok(endsAlike(['a', 'b', 'c'], ['b', 'c']));
  assert.ok(endsAlike([], []));
  assert.ok(!endsAlike(['a', 'b', 'c'], ['a', 'b']));
  assert.ok(!endsAlike(['a'], []));
});

test('a collection that mongod marked as temporary may be gone from the restore; it may not be another one there, and no other may be gone', () => {
  const listed = (name: string, options: object): State => ({ hashes: { [name]: 'a1' }, catalogue: { [name]: { type: 'collection', uuid: '01', options, indexes: {} } }, capped: {} });
  const none: State = { hashes: {}, catalogue: {}, capped: {} };
  const temporary = listed('shop.tmpX', { temp: true });
  const capped = { ...listed('shop.tmpX', { temp: true, capped: true }), capped: { 'shop.tmpX': ['1'] } };
  for (const wanted of [temporary, capped]) assert.deepEqual([...differencesOf(wanted, none, new Set()), ...differencesOfHashes(wanted, {})], []);
  assert.equal(differencesOf(temporary, { ...temporary, hashes: { 'shop.tmpX': 'b2' } }, new Set()).length, 1);
  assert.equal(differencesOfHashes(temporary, { 'shop.tmpX': 'b2' }).length, 1);
  assert.ok(differencesOf(capped, { ...capped, capped: { 'shop.tmpX': ['2'] } }, new Set()).length > 0);
  assert.ok(differencesOf(listed('shop.orders', {}), none, new Set()).length > 0);
  assert.ok(differencesOf(none, temporary, new Set()).length > 0);
});
