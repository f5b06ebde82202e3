import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BSON, Long, Timestamp, UUID, type Document } from 'mongodb';
import { isFailure } from '../base/failure.ts';
import { oplogDamaged } from './failures.ts';
import { barrierOf, batchOf, entriesOf, kindOf, readEntry } from './oplog-entry.ts';

/** Real entries of every kind, written by a real mongod (scripts/freeze-oplog-fixture.ts). */
const frozen = readFileSync(join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'oplog-6.0.5.bson'));

test('every field read from the bytes of a real entry is the one that the driver decodes', () => {
  let compared = 0;
  for (const entry of entriesOf(frozen)) {
    const decoded = BSON.deserialize(entry.bytes, { promoteLongs: false }) as { ts: Timestamp; t?: Long; op: string; ns: string; ui?: UUID; wall: Date; o: Document; lsid?: Document };
    assert.deepEqual(entry.at, { t: decoded.ts.t, i: decoded.ts.i, term: decoded.t?.toNumber() ?? -1 });
    assert.deepEqual([entry.op, entry.ns, entry.wallMs], [decoded.op, decoded.ns, decoded.wall.getTime()]);
    assert.equal(entry.ui, decoded.ui?.toHexString(false));
    assert.equal(entry.first, Object.keys(decoded.o)[0]);
    assert.equal(entry.session, decoded.lsid !== undefined);
    compared++;
  }
  assert.ok(compared > 80);
});

test('entries put together again are the bytes they came from', () => {
  const batch = batchOf([...entriesOf(frozen)].map((entry) => entry.bytes));
  assert.deepEqual(Buffer.from(batch.bytes), frozen);
  assert.equal(batch.count, [...entriesOf(frozen)].length);
  assert.deepEqual(batch.first, readEntry(frozen).at);
});

test('of all that a replica set writes only the change of its feature compatibility version is a barrier', () => {
  const barriers = [...entriesOf(frozen)].flatMap((entry) => barrierOf(entry) ?? []);
  assert.deepEqual(new Set(barriers), new Set(['the feature compatibility version changed']));
  assert.equal(barriers.length, 4);
  assert.deepEqual([...entriesOf(frozen)].filter((entry) => kindOf(entry) === 'unknown'), []);
});

test('real entries fall into their kinds', () => {
  const kinds = new Map<string, Set<string>>();
  for (const entry of entriesOf(frozen)) {
    const names = kinds.get(kindOf(entry)) ?? new Set();
    kinds.set(kindOf(entry), names.add(entry.op === 'c' ? (entry.first ?? '') : entry.op));
  }
  assert.deepEqual(kinds.get('crud'), new Set(['i', 'u', 'd']));
  assert.deepEqual(kinds.get('ddl'), new Set(['create', 'collMod', 'renameCollection', 'drop', 'dropDatabase']));
  assert.deepEqual(kinds.get('index'), new Set(['createIndexes', 'startIndexBuild', 'commitIndexBuild', 'abortIndexBuild', 'dropIndexes']));
  assert.deepEqual(kinds.get('transaction'), new Set(['applyOps']));
  assert.deepEqual(kinds.get('group'), new Set(['applyOps']));
  assert.deepEqual(kinds.get('noop'), new Set(['n']));
});

function made(op: string, ns: string, o: Document, more: Document = {}) {
  return readEntry(BSON.serialize({ ...more, op, ns, o, ts: new Timestamp({ t: 100, i: 7 }), t: Long.fromNumber(3), v: Long.fromNumber(2), wall: new Date(100_000) }));
}

const version = 'admin.system.version';
const cases: readonly [string, ReturnType<typeof made>, RegExp | undefined][] = [
  ['an index key of a global index', made('xi', 'db.c', { ik: 1 }), /global index/],
  ['a deleted key of a global index', made('xd', 'db.c', { ik: 1 }), /global index/],
  ['multikey bookkeeping', made('km', 'db.c', {}), undefined],
  ['storage-container bookkeeping', made('ci', 'db.c', {}), undefined],
  ['an operation of the future', made('zz', 'db.c', {}), /does not know \(op zz\)/],
  ['an imported collection', made('c', 'db.$cmd', { importCollection: 'db.c' }), /imported/],
  ['viewless time series', made('c', 'db.$cmd', { upgradeDowngradeViewlessTimeseries: 'x' }), /time-series/],
  ['a global index', made('c', 'db.$cmd', { createGlobalIndex: 'x' }), /global index/],
  ['a command of the future', made('c', 'db.$cmd', { turnInsideOut: 'c' }), /does not know \(turnInsideOut\)/],
  ['a command without a name', made('c', 'db.$cmd', {}), /without name/],
  ['a resharding collection', made('c', 'db.$cmd', { create: 'system.resharding.1234', capped: false }), /resharded/],
  ['a collection renamed out of resharding', made('c', 'db.$cmd', { renameCollection: 'db.system.resharding.1234', to: 'db.c' }), /resharded/],
  ['an ordinary collection', made('c', 'db.$cmd', { create: 'resharding' }), undefined],
  ['the version written first', made('i', version, { _id: 'featureCompatibilityVersion', version: '6.0' }), /feature compatibility/],
  ['the version updated', made('u', version, { $v: 2, diff: {} }, { o2: { _id: 'featureCompatibilityVersion' } }), /feature compatibility/],
  ['the version deleted', made('d', version, { _id: 'featureCompatibilityVersion' }), /feature compatibility/],
  ['a set that becomes a shard', made('i', version, { _id: 'shardIdentity', shardName: 's' }), /shard/],
  ['the authentication schema', made('i', version, { _id: 'authSchema', currentVersion: 5 }), undefined],
  ['a document with another kind of id', made('i', version, { _id: 5 }), undefined],
  ['a group that touches the version', made('c', 'admin.$cmd', { applyOps: [{ op: 'u', ns: version, o: {} }] }), /admin\.system\.version/],
  ['a group of writes', made('c', 'admin.$cmd', { applyOps: [{ op: 'i', ns: 'db.c', o: {} }] }), undefined],
  ['a node-local ident', made('c', 'admin.$cmd', { dropIdent: 'x' }), undefined],
  ['a check of the database', made('c', 'db.$cmd', { dbCheck: 'c' }), undefined],
  ['a noop', made('n', '', { msg: 'periodic noop' }), undefined],
];

test('entries that no replay may cross are named, others pass', () => {
  for (const [what, entry, expected] of cases) {
    const barrier = barrierOf(entry);
    if (expected === undefined) assert.equal(barrier, undefined, what);
    else assert.match(barrier ?? '', expected, what);
  }
});

test('a retryable batch of inserts is a group although it carries a session, a transaction is not', () => {
  const o = { applyOps: [{ op: 'i', ns: 'db.c', o: { _id: 1 } }] };
  const session = { lsid: { id: new UUID() }, txnNumber: Long.fromNumber(1) };
  assert.equal(kindOf(made('c', 'admin.$cmd', o, { ...session, multiOpType: 1 })), 'group');
  assert.equal(kindOf(made('c', 'admin.$cmd', o, session)), 'transaction');
});

test('truncated and overwritten entries are refused as damage, never read beyond their end', () => {
  const damaged = (error: unknown): boolean => isFailure(error, oplogDamaged);
  const entry = Buffer.from(readEntry(frozen).bytes);
  for (let length = 0; length < entry.length; length++) assert.throws(() => readEntry(entry.subarray(0, length)), damaged, `${length} bytes`);
  for (let at = 0; at < entry.length; at++) {
    for (const value of [0, 0x7f, 0xff]) {
      const copy = Buffer.from(entry);
      copy[at] = value;
      try {
        const read = readEntry(copy);
        assert.ok(read.bytes.length <= copy.length);
      } catch (error) {
        assert.ok(damaged(error), `byte ${at} as ${value}: ${String(error)}`);
      }
    }
  }
});
