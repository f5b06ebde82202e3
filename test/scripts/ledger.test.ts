import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, isSame, openLedger, type Version } from '../../scripts/torture/ledger.ts';

const at = (t: number, i = 1) => ({ t, i });

test('the ledger says of each moment what was there just after that operation', () => {
  const ledger = openLedger();
  ledger.note('shop.orders', 'a', at(10), 1);
  ledger.note('shop.orders', 'a', at(20, 3), 2);
  ledger.note('shop.orders', 'a', at(30), null);
  const versionAt = (moment: { t: number; i: number }) => [...ledger.at('shop.orders', moment).get('a')!];
  assert.deepEqual(versionAt(at(9)), [null]);
  assert.deepEqual(versionAt(at(10)), [1]);
  assert.deepEqual(versionAt(at(20, 2)), [1]);
  assert.deepEqual(versionAt(at(20, 3)), [2]);
  assert.deepEqual(versionAt(at(30)), [null]);
});

test('an operation in doubt may have happened until the next certain one says otherwise', () => {
  const ledger = openLedger();
  ledger.note('shop.orders', 'a', at(10), 1);
  ledger.doubt('shop.orders', 'a', 2);
  assert.deepEqual(ledger.at('shop.orders', at(50)).get('a'), new Set([1, 2]));
  ledger.note('shop.orders', 'a', at(40), 3);
  assert.deepEqual(ledger.at('shop.orders', at(39)).get('a'), new Set([1, 2]));
  assert.deepEqual([...ledger.at('shop.orders', at(40)).get('a')!], [3]);
});

test('a document that is missing, one from later and one of another version are three kinds of difference', () => {
  const expected = new Map<string, ReadonlySet<Version>>([
    ['kept', new Set([1])],
    ['lost', new Set([4])],
    ['not yet', new Set([null])],
    ['older', new Set([2])],
  ]);
  const found = new Map([
    ['kept', 1],
    ['not yet', 1],
    ['older', 1],
    ['unheard of', 7],
  ]);
  const differences = compare(expected, found);
  assert.deepEqual(differences.missing, ['lost']);
  assert.deepEqual(differences.later, ['not yet', 'unheard of']);
  assert.deepEqual(differences.wrong, ['older: version 1, not 2']);
  assert.equal(isSame(differences), false);
  assert.equal(isSame(compare(new Map([['kept', new Set<Version>([1, null])]]), new Map())), true);
});
