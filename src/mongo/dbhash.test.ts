import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareSnapshots, type Snapshot } from './dbhash.ts';

const one: Snapshot = {
  hashes: { 'a.x': '11', 'a.y': '22' },
  catalogue: {
    'a.x': {
      type: 'collection',
      uuid: 'u1',
      options: { capped: true },
      indexes: { _id_: { key: { _id: 1 } }, n: { key: { n: 1 } } },
    },
    'a.y': { type: 'collection', uuid: 'u2', options: {}, indexes: {} },
  },
};
const x = one.catalogue['a.x']!;

test('equal snapshots have no differences', () => {
  assert.deepEqual(compareSnapshots(one, structuredClone(one)), []);
});

test('each kind of difference is one sentence with both sides', () => {
  const other: Snapshot = {
    hashes: { 'a.x': '33', 'a.z': '22' },
    catalogue: {
      'a.x': {
        type: 'collection',
        uuid: 'u9',
        options: {},
        indexes: { _id_: { key: { _id: 1 } }, n: { key: { n: -1 } } },
      },
      'a.y': one.catalogue['a.y']!,
    },
  };
  assert.deepEqual(compareSnapshots(one, other, ['source', 'copy']), [
    'documents of a.x differ: dbHash 11 in the source, 33 in the copy',
    'a.y has documents in the source only',
    'a.z has documents in the copy only',
    'a.x has the UUID u1 in the source, u9 in the copy',
    'options of a.x: {"capped":true} in the source, {} in the copy',
    'index n of a.x: {"key":{"n":1}} in the source, {"key":{"n":-1}} in the copy',
  ]);
});

test('UUIDs can be left out where they must differ', () => {
  const renamed = { ...one, catalogue: { ...one.catalogue, 'a.x': { ...x, uuid: 'u9' } } };
  assert.deepEqual(compareSnapshots(one, renamed, ['a', 'b'], { uuids: false }).length, 1);
  assert.deepEqual(compareSnapshots(one, renamed, ['a', 'b'], { uuids: true }), []);
});
