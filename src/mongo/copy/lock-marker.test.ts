import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOurs, lockStateOf, type LockMarker } from './lock-marker.ts';

const held: LockMarker = { form: 1, member: 'db1:27017', mongod: 10, guardian: { pid: 1, startTime: '1' }, stage: 'held', after: 100, worker: 105 };
const asking: LockMarker = { ...held, stage: 'asking', worker: null };

test('currentOp tells the lock and the operation that holds it', () => {
  const inprog = [{ opid: 7, desc: 'conn1', command: { fsync: 1, lock: true, comment: 'marker' } }, { opid: 105, desc: 'fsyncLockWorker' }, { opid: 9 }];
  assert.deepEqual(lockStateOf({ fsyncLock: true, inprog }), { locked: true, worker: 105, newestOperation: 105, asked: ['marker'] });
  assert.deepEqual(lockStateOf({ inprog: [] }), { locked: false, worker: null, newestOperation: 0, asked: [] });
});

test('a held lock is ours only while the same operation of the same mongod holds it', () => {
  assert.ok(isOurs(held, { locked: true, worker: 105, newestOperation: 200, asked: [] }, 10));
  assert.ok(!isOurs(held, { locked: true, worker: 150, newestOperation: 200, asked: [] }, 10), 'another lock');
  assert.ok(!isOurs(held, { locked: true, worker: 105, newestOperation: 200, asked: [] }, 11), 'another life of mongod');
  assert.ok(!isOurs(held, { locked: false, worker: null, newestOperation: 200, asked: [] }, 10), 'no lock');
});

test('a lock that was asked for is ours when it began after the asking', () => {
  assert.ok(isOurs(asking, { locked: true, worker: 101, newestOperation: 200, asked: [] }, 10));
  assert.ok(!isOurs(asking, { locked: true, worker: 99, newestOperation: 200, asked: [] }, 10), 'it was there before');
});
