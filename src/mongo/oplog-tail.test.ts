import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Optime } from '../base/cluster-time.ts';
import { anyNode, isPrimaryAvoided, orderForOplog, whyLeave } from './oplog-node.ts';
import type { NodeState, Opened } from './oplog-source.ts';
import { breakOf } from './oplog-tail.ts';
import type { SetMember } from './topology.ts';

const member = (id: number, more: Partial<SetMember> = {}): SetMember => ({
  id, name: `db${id}:27017`, host: `db${id}`, port: 27017, state: 'secondary', health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 1, applied: null, isArbiter: false, tags: {}, ...more,
});
const primary = member(1, { state: 'primary', lagSeconds: 0 });
const last: Optime = { t: 1000, i: 5, term: 3 };
const before: Optime = { t: 900, i: 1, term: 3 };
const later: Optime = { t: 2000, i: 1, term: 4 };
const state = (applied: Optime, isPrimary: boolean, term = applied.term): NodeState => ({ readable: true, primary: isPrimary, term, committed: applied, applied });
const rolled: Opened = { kind: 'rolled-over', resumesAt: later };
const unreadable: Opened = { kind: 'unreadable', why: 'connection refused' };

function judge(...verdicts: [SetMember, Opened][]) {
  return judgeAfter(0, ...verdicts);
}

function judgeAfter(lookingMs: number, ...verdicts: [SetMember, Opened][]) {
  const members = [primary, member(2), member(3)];
  return breakOf(verdicts.map(([one, opened]) => ({ member: one, opened })), { members }, last, lookingMs);
}

test('secondaries close behind are asked first, then the primary, then the lagging; others never', () => {
  const members = [
    primary, member(2), member(3, { priority: 0, hidden: true }), member(4, { lagSeconds: 500 }), member(5, { delaySeconds: 60 }),
    member(6, { state: 'arbiter' }), member(7, { health: false, state: 'down' }), member(8, { state: 'recovering' }),
  ];
  assert.deepEqual(orderForOplog(members).map((one) => one.id), [3, 2, 1, 4]);
});

test('a member is left when it lags and another does not, when its state is bad, and a primary after a while', () => {
  const lagging = member(2, { lagSeconds: 90 });
  assert.match(whyLeave([primary, lagging], 'db2:27017', 0) ?? '', /90 s behind/);
  assert.equal(whyLeave([member(1, { lagSeconds: 100 }), lagging], 'db2:27017', 0), undefined);
  assert.match(whyLeave([primary, member(2, { state: 'recovering' })], 'db2:27017', 0) ?? '', /recovering/);
  assert.equal(whyLeave([primary, member(2)], 'db1:27017', 5_000), undefined);
  assert.match(whyLeave([primary, member(2)], 'db1:27017', 60_000) ?? '', /secondary can be read/);
  assert.equal(whyLeave([primary, lagging], 'db1:27017', 60_000), undefined);
  assert.match(whyLeave([primary], 'db9:27017', 0) ?? '', /no longer a member/);
});

test('where the primary is not allowed it is asked last, but for secondaries that have not the oplog; nobody who is left out is asked', () => {
  const rules = { ...anyNode, primaryAllowed: false };
  const order = (members: SetMember[], more: object = {}): number[] => orderForOplog(members, { ...rules, ...more }).map((one) => one.id);
  assert.deepEqual(order([primary, member(2, { lagSeconds: 90 }), member(3, { lagSeconds: 700 }), member(4)]), [4, 2, 1, 3]);
  assert.deepEqual(order([primary, member(2, { health: false })]), [1], 'rather than nobody');
  assert.deepEqual(order([primary, member(2), member(3)], { preferred: 'db3:27017' }), [3, 2, 1]);
  assert.deepEqual(order([primary, member(2), member(3, { hidden: true })], { hiddenFirst: true }), [3, 2, 1]);
  assert.deepEqual(order([primary, member(2), member(3)], { leftOut: ['db2', 'db1'] }), [3]);
  assert.deepEqual([isPrimaryAvoided([primary, member(2)], rules), isPrimaryAvoided([primary, member(6, { state: 'arbiter' })], rules)], [true, false]);
});

test('a secondary that lags is not left for a primary that is not allowed, before it has not the oplog', () => {
  const rules = { ...anyNode, primaryAllowed: false };
  assert.equal(whyLeave([primary, member(2, { lagSeconds: 90 })], 'db2:27017', 0, rules), undefined);
  assert.match(whyLeave([primary, member(2, { lagSeconds: 700 })], 'db2:27017', 0, rules) ?? '', /700 s behind/);
  assert.equal(whyLeave([primary, member(2, { lagSeconds: 90 })], 'db1:27017', 60_000, rules), undefined, 'it would have less than is archived');
  assert.match(whyLeave([primary, member(2)], 'db1:27017', 60_000, rules) ?? '', /secondary can be read/);
});

test('rolled over means that no data member has the last archived entry any more; silent ones are hoped for for ten minutes', () => {
  assert.deepEqual(judge([primary, rolled], [member(2), rolled], [member(3), rolled]), { reason: 'rolled-over', resumesAt: later, node: 'db1:27017' });
  assert.equal(judge([primary, rolled], [member(2), rolled]), undefined, 'the third may still have it');
  assert.equal(judgeAfter(599_000, [primary, rolled], [member(2), unreadable]), undefined);
  assert.equal(judgeAfter(600_000, [primary, rolled], [member(2), unreadable])?.reason, 'rolled-over');
  assert.equal(judgeAfter(600_000, [primary, rolled], [member(2), { kind: 'behind', state: state(before, false) }]), undefined);
  assert.equal(judge([primary, unreadable], [member(2), unreadable]), undefined);
  assert.equal(judge(), undefined);
});

test('another entry in a majority’s history at the archived time is a rollback, whatever the others say', () => {
  const other: Opened = { kind: 'other-history', resumesAt: { ...last, term: 4 } };
  assert.deepEqual(judge([member(2), other], [primary, unreadable]), { reason: 'rollback', resumesAt: { ...last, term: 4 }, node: 'db2:27017' });
});

test('a secondary that is behind says nothing; it is asked again', () => {
  assert.equal(judge([member(2), { kind: 'behind', state: state(before, false) }], [primary, unreadable]), undefined);
});

test('a primary that lacks what a majority had is a rollback', () => {
  assert.equal(judge([primary, { kind: 'behind', state: state(before, true) }])?.reason, 'rollback');
});

test('a primary that was replaced and does not know it yet breaks nothing', () => {
  const replaced: Opened = { kind: 'behind', state: state({ ...before, term: 2 }, true) };
  assert.equal(judge([primary, replaced], [member(2), unreadable]), undefined);
});

test('when every data member lacks the archived entry the set was put back, even to an older term', () => {
  const put = (isPrimary: boolean): Opened => ({ kind: 'behind', state: state({ ...before, term: 1 }, isPrimary) });
  assert.equal(judge([primary, put(true)], [member(2), put(false)], [member(3), put(false)])?.reason, 'rollback');
});

test('a primary whose majority has not moved yet, but that has the entry, is waited for', () => {
  assert.equal(judge([primary, { kind: 'behind', state: { ...state(last, true), committed: before } }]), undefined);
});
