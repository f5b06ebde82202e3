import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, Long, Timestamp, UUID, type Document } from 'mongodb';
import { readEntry } from './oplog-entry.ts';
import { noopAt, openSelection, type Selection } from './replay-selection.ts';

let i = 0;
const entry = (fields: Document) => readEntry(BSON.serialize({ op: 'i', ns: 'shop.a', ts: new Timestamp({ t: 4_000_000_000, i: ++i }), t: Long.fromInt(7), v: Long.fromInt(2), wall: new Date(5_000), o: { _id: 1 }, ...fields }));
const command = (o: Document, more: Document = {}) => entry({ op: 'c', ns: 'shop.$cmd', o, ...more });
const isLeftOut = (selection: Selection, ns: string, op = 'i'): boolean => selection.leavesOut(entry({ ns, op }));

function after(only: string[], ...entries: ReturnType<typeof entry>[]): Selection {
  const selection = openSelection(only);
  for (const one of entries) selection.note(one);
  return selection;
}

test('writes of collections that nobody asks for and nothing else touches are left out', () => {
  const selection = after(['shop.a']);
  for (const op of ['i', 'u', 'd']) assert.ok(isLeftOut(selection, 'shop.b', op));
  for (const op of ['i', 'u', 'd']) assert.ok(!isLeftOut(selection, 'shop.a', op));
  assert.ok(!isLeftOut(selection, 'shop.b', 'n'));
  assert.ok(!selection.leavesOut(command({ create: 'b' })));
});

test('a time series is asked for by its own name and kept in its buckets', () => {
  const selection = after(['shop.ts']);
  assert.ok(!isLeftOut(selection, 'shop.system.buckets.ts'));
  assert.ok(isLeftOut(selection, 'shop.system.buckets.other'));
});

test('what a command, a transaction or a group of writes touches is kept', () => {
  const lsid = { id: new UUID(), uid: Buffer.alloc(32) };
  const inside = (ns: string): Document => ({ op: 'i', ns, ui: new UUID(), o: { _id: 1 } });
  const selection = after(
    ['shop.a'],
    command({ createIndexes: 'b', v: 2, key: { x: 1 }, name: 'x_1' }),
    command({ renameCollection: 'shop.c', to: 'shop.a', stayTemp: false }),
    command({ applyOps: [inside('shop.d'), { op: 'c', ns: 'shop.$cmd', o: { drop: 'e' } }], partialTxn: true }, { ns: 'admin.$cmd', lsid, txnNumber: Long.fromInt(1) }),
    command({ applyOps: [inside('bank.f')] }, { ns: 'admin.$cmd' }),
    command({ commitTransaction: 1 }, { ns: 'admin.$cmd', lsid, txnNumber: Long.fromInt(1) }),
    command({ dropDatabase: 1 }, { ns: 'gone.$cmd' }),
  );
  for (const ns of ['shop.b', 'shop.c', 'shop.d', 'shop.e', 'bank.f', 'gone.any', 'gone.a.b']) assert.ok(!isLeftOut(selection, ns), ns);
  for (const ns of ['shop.g', 'bank.a', 'other.x']) assert.ok(isLeftOut(selection, ns), ns);
});

test('databases of the server itself, views and stored functions are always kept', () => {
  const selection = after(['shop.a']);
  for (const ns of ['config.transactions', 'admin.system.users', 'shop.system.views', 'shop.system.js']) assert.ok(!isLeftOut(selection, ns), ns);
});

test('a no-op has the time of what it stands for', () => {
  const one = entry({ ns: 'shop.b' });
  const noop = readEntry(noopAt(one));
  assert.deepEqual({ at: noop.at, op: noop.op, ns: noop.ns, wallMs: noop.wallMs }, { at: one.at, op: 'n', ns: '', wallMs: 5_000 });
  const { v, o } = BSON.deserialize(noopAt(one), { promoteLongs: true });
  assert.deepEqual({ v, o }, { v: 2, o: {} });
});
