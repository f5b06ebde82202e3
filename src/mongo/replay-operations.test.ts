import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, Long, Timestamp, UUID, type Document } from 'mongodb';
import { readEntry } from './oplog-entry.ts';
import { openUnfolding, type Operation } from './replay-operations.ts';

const lsid = { id: new UUID(), uid: Buffer.alloc(32) };
const other = { id: new UUID(), uid: Buffer.alloc(32) };
let i = 0;
const entry = (fields: Document) =>
  readEntry(
    BSON.serialize({ op: 'c', ns: 'admin.$cmd', ts: new Timestamp({ t: 10, i: ++i }), t: Long.fromInt(1), ...fields }),
  );
const inner = (id: number): Document => ({ op: 'i', ns: 'a.b', ui: new UUID(), o: { _id: id } });
const part = (ids: number[], more: Document, session: Document = lsid) =>
  entry({ lsid: session, txnNumber: Long.fromInt(1), o: { applyOps: ids.map(inner), ...more } });
const ids = (operations: Operation[]): number[] => operations.map(({ o }) => BSON.deserialize(o)['_id'] as number);

test('a transaction of several entries takes effect whole, at its last one', () => {
  const unfolding = openUnfolding();
  assert.deepEqual(ids(unfolding.take(part([1, 2], { partialTxn: true }))), []);
  assert.deepEqual(ids(unfolding.take(part([9], {}, other))), [9], 'another session is not held up');
  assert.deepEqual(ids(unfolding.take(part([3], { partialTxn: true }))), []);
  const last = unfolding.take(part([4], { count: Long.fromInt(4) }));
  assert.deepEqual(ids(last), [1, 2, 3, 4]);
  assert.deepEqual({ transactions: unfolding.transactions, open: unfolding.open }, { transactions: 2, open: 0 });
});

test('a prepared transaction waits for its commit, and leaves nothing when it is aborted', () => {
  const unfolding = openUnfolding();
  const end = (command: string) => entry({ lsid, txnNumber: Long.fromInt(1), o: { [command]: 1 } });
  assert.deepEqual(ids(unfolding.take(part([1], { prepare: true }))), []);
  assert.deepEqual(ids(unfolding.take(end('commitTransaction'))), [1]);
  assert.deepEqual(ids(unfolding.take(part([2], { prepare: true }))), []);
  assert.equal(unfolding.open, 1);
  assert.deepEqual(unfolding.take(end('abortTransaction')), []);
  assert.equal(unfolding.open, 0);
});

test('a retryable batch only looks like a transaction', () => {
  const batch = entry({ lsid, txnNumber: Long.fromInt(2), multiOpType: 1, o: { applyOps: [inner(1), inner(2)] } });
  const unfolding = openUnfolding();
  assert.deepEqual(ids(unfolding.take(batch)), [1, 2]);
  assert.equal(unfolding.transactions, 0);
});

test('groups are unfolded however deep, and noops are nothing', () => {
  const nested = entry({
    o: { applyOps: [{ op: 'c', ns: 'admin.$cmd', o: { applyOps: [inner(1), { op: 'n', ns: '', o: {} }] } }, inner(2)] },
  });
  assert.deepEqual(ids(openUnfolding().take(nested)), [1, 2]);
  assert.deepEqual(openUnfolding().take(entry({ op: 'n', ns: '', o: { msg: 'periodic noop' } })), []);
});

test('what is before the base only completes a transaction that reaches over it', () => {
  const unfolding = openUnfolding();
  unfolding.remember(part([1], { partialTxn: true }));
  unfolding.remember(entry({ op: 'i', ns: 'a.b', o: { _id: 7 } }));
  assert.deepEqual(ids(unfolding.take(part([2], { count: Long.fromInt(2) }))), [1, 2]);
});
