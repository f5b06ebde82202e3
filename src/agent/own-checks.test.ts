import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decimal128, Int32, Long, ObjectId } from 'mongodb';
import { judgeAnswer } from './own-checks.ts';

const id = '65a1b2c3d4e5f60718293a4b';

test('a number holds within its borders, and a collection that is not there has none', () => {
  assert.deepEqual(judgeAnswer({ count: {}, expect: { atLeast: 2, atMost: 3 } }, [{ n: 3 }]), { ok: true, says: '3 documents' });
  assert.deepEqual(judgeAnswer({ count: {}, expect: { atLeast: 2 } }, [{ n: 1 }]), { ok: false, says: '1 document, expected at least 2' });
  assert.deepEqual(judgeAnswer({ count: {}, expect: { equals: 0 } }, []), { ok: true, says: '0 documents' });
  assert.deepEqual(judgeAnswer({ expect: { atLeast: 1, atMost: 1 } }, []), { ok: false, says: '0 documents, expected at least 1 and at most 1' });
});

test('documents are equal by value: types of numbers and the order of fields do not count, that of documents does', () => {
  const equals = [{ _id: { $oid: id }, total: 12, at: { $date: '2026-05-02T00:00:00Z' }, lines: [{ n: 1 }] }, { _id: 2 }];
  const found = [{ lines: [{ n: new Int32(1) }], at: new Date('2026-05-02T00:00:00Z'), total: Long.fromNumber(12), _id: new ObjectId(id) }, { _id: 2 }];
  assert.deepEqual(judgeAnswer({ expect: { equals } }, found), { ok: true, says: '2 documents, as expected' });
  assert.equal(judgeAnswer({ expect: { equals } }, found.toReversed()).ok, false);
  assert.equal(judgeAnswer({ expect: { equals: [{ a: { $numberDecimal: '1.5' } }] } }, [{ a: Decimal128.fromString('1.5') }]).ok, true);
});

test('a check that does not hold names the field that differs, and no value of it', () => {
  const told = judgeAnswer({ expect: { equals: [{ _id: 1, card: { number: 'wanted', code: 1 } }] } }, [{ _id: 1, card: { number: '4929 secret', code: 1 } }]);
  assert.deepEqual(told, { ok: false, says: 'document 1 of 1 differs in card.number' });
  assert.equal(judgeAnswer({ expect: { equals: [{ _id: 1 }] } }, [{ _id: 1, more: 2 }]).says, 'document 1 of 1 differs in more');
  assert.equal(judgeAnswer({ expect: { equals: [{ a: [1] }] } }, [{ a: { 0: 1 } }]).says, 'document 1 of 1 differs in a');
});
