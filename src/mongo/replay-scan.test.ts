import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, Long, Timestamp, UUID, type Document } from 'mongodb';
import { batchOf } from './oplog-entry.ts';
import { scanRange, type ArchivedOplog } from './replay-scan.ts';

const entry = (i: number, fields: Document): Uint8Array =>
  BSON.serialize({
    ts: new Timestamp({ t: 10, i }),
    t: Long.fromInt(1),
    v: Long.fromInt(2),
    wall: new Date(0),
    ...fields,
  });
const insert = (i: number): Uint8Array => entry(i, { op: 'i', ns: 'a.b', o: { _id: i } });
const archive = (...batches: Uint8Array[][]): ArchivedOplog =>
  async function* () {
    for (const batch of batches) yield batchOf(batch);
  };
const from = { t: 10, i: 0 };
const to = { t: 10, i: 100 };

test('a range is counted over its batches and ends with its newest entry', async () => {
  const { entries, last, bytes } = await scanRange(archive([insert(1), insert(2)], [insert(5)]), from, to);
  assert.deepEqual({ entries, last }, { entries: 3, last: { t: 10, i: 5, term: 1 } });
  assert.equal(bytes, insert(1).length * 3);
});

test('an empty range needs no archive', async () => {
  const none: ArchivedOplog = () => assert.fail('nothing is to be read');
  assert.equal((await scanRange(none, to, to)).entries, 0);
});

test('swapped, repeated and foreign entries are an archive that is not one run', async () => {
  for (const broken of [archive([insert(2)], [insert(1)]), archive([insert(2)], [insert(2)]), archive([insert(101)])]) {
    await assert.rejects(scanRange(broken, from, to), { code: 'mongo.replay-archive-broken' });
  }
});

test('a change of the feature compatibility version and an unknown command end the reach at the entry before them', async () => {
  const fcv = entry(7, {
    op: 'u',
    ns: 'admin.system.version',
    o2: { _id: 'featureCompatibilityVersion' },
    o: { $v: 2, diff: { u: { version: '7.0' } } },
  });
  const unknown = entry(7, { op: 'c', ns: 'a.$cmd', o: { inventedLater: 1 } });
  for (const barrier of [fcv, unknown]) {
    await assert.rejects(
      scanRange(archive([insert(3), barrier]), from, to),
      (error: Error & { code: string; details: Document }) => {
        assert.equal(error.code, 'mongo.replay-barrier');
        assert.deepEqual(error.details['lastSafe'], { t: 10, i: 3, term: 1 });
        return true;
      },
    );
  }
});

test('indexes without collation that were built in the range are noted by collection, unless they got one later', async () => {
  const ui = new UUID();
  const commit = (i: number, ...indexes: Document[]): Uint8Array =>
    entry(i, { op: 'c', ns: 'a.$cmd', ui, o: { commitIndexBuild: 'b', indexBuildUUID: new UUID(), indexes } });
  const german = { v: 2, key: { y: 1 }, name: 'y', collation: { locale: 'de' } };
  const { plainIndexes } = await scanRange(
    archive([commit(1, { v: 2, key: { x: 1 }, name: 'x' }, { v: 2, key: { y: 1 }, name: 'y' }), commit(2, german)]),
    from,
    to,
  );
  assert.deepEqual([...plainIndexes.get(ui.toString('hex').replaceAll('-', ''))!], ['x']);
});
