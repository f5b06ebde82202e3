import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, Timestamp, type Document } from 'mongodb';
import { statementsOf } from './diff-statements.ts';

const said = (diff: Document): Document[] | undefined =>
  statementsOf(BSON.serialize({ $v: 2, diff }))?.map((statement) => BSON.deserialize(statement));

test('changed fields are set, removed ones unset, nested ones by their path', () => {
  assert.deepEqual(said({ d: { a: false }, u: { b: 1 }, sc: { u: { d: 2 }, d: { e: false } } }), [
    { $unset: { a: 1, 'c.e': 1 } },
    { $set: { b: 1, 'c.d': 2 } },
  ]);
});

test('an added field is unset first, because in a diff it moves to the end when it was there', () => {
  assert.deepEqual(said({ i: { x: 1 } }), [{ $unset: { x: 1 } }, { $set: { x: 1 } }]);
});

test('fields added in another order than that of their names get a statement each', () => {
  assert.deepEqual(said({ i: { a: 1, b: 2 } }), [{ $unset: { a: 1, b: 1 } }, { $set: { a: 1, b: 2 } }]);
  assert.deepEqual(said({ i: { b: 2, a: 1 } }), [{ $unset: { b: 1, a: 1 } }, { $set: { b: 2 } }, { $set: { a: 1 } }]);
});

test('arrays are cut, then their elements set', () => {
  assert.deepEqual(said({ slist: { a: true, l: 2, u1: 'x', s0: { u: { z: 5 } } } }), [
    { $push: { list: { $each: [], $slice: 2 } } },
    { $set: { 'list.1': 'x', 'list.0.z': 5 } },
  ]);
});

test('a replacement stays the bytes it is', () => {
  const document = BSON.serialize({ _id: 1, b: 2, a: 1 });
  assert.deepEqual(statementsOf(document), [document]);
});

test('what operators cannot say is left to mongod: dots and dollars in names, empty timestamps, unknown sections', () => {
  assert.equal(said({ u: { 'a.b': 1 } }), undefined);
  assert.equal(said({ s$a: { u: { b: 1 } } }), undefined);
  assert.equal(said({ b: { a: 1 } }), undefined);
  assert.equal(statementsOf(BSON.serialize({ _id: 1, at: new Timestamp(0n) })), undefined);
});
