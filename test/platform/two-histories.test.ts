/** A set is put back to files of before its last restore point: times come again, and every point still leads along the history that it is of. */
import assert from 'node:assert/strict';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { until } from '../../src/base/deadline.ts';
import { openPlatform } from '../kit/platform.ts';
import { checkpointMembers, openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

/** Answers the time of the write. */
async function write(set: ReplicaSet, id: string): Promise<ClusterTime> {
  const client = await set.client();
  try {
    return await client.withSession(async (session) => {
      await client.db('shop').collection<{ _id: string }>('orders').insertOne({ _id: id }, { session, writeConcern: { w: 'majority' } });
      const { operationTime } = session;
      return { t: operationTime!.getHighBitsUnsigned(), i: operationTime!.getLowBitsUnsigned() };
    });
  } finally {
    await client.close();
  }
}

test('a point of before a set was put back is proved and brought forward along its own history, and the newer one has its own base', async () => {
  await using set = await openReplicaSet({ members: 1 });
  const [member] = set.members;
  await using platform = await openPlatform({ keptIn: [process.execPath] });
  const seen = async (...moment: string[]): Promise<string[]> => {
    const publication = await platform.ok('publish', 'start', 'rs0', ...moment);
    const visitor = await MongoClient.connect(publication.uri);
    try {
      return (await visitor.db('shop').collection<{ _id: string }>('orders').find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id);
    } finally {
      await visitor.close();
      await platform.ok('publish', 'stop', publication.id);
    }
  };
  const reached = async (moment: ClusterTime): Promise<any> => await until('the archive', 90_000, async () => {
    const window = await platform.ok('window', 'rs0');
    return window.to !== null && compareTimes(window.to, moment) >= 0 ? window : undefined;
  }, { everyMs: 500 });

  await write(set, 'a');
  await checkpointMembers(set);
  await platform.ok('set', 'add', set.uri);
  await until('the oplog to be followed', 60_000, async () => ((await platform.ok('set', 'show', 'rs0')).oplog.state === 'following' ? true : undefined), { everyMs: 200 });
  await member!.stop();
  cpSync(member!.dbPath, `${member!.dbPath}-older`, { recursive: true });
  await member!.restart();
  await set.settled();
  await write(set, 'b, of before');
  await checkpointMembers(set);
  assert.equal((await platform.ok('backup', 'run', 'rs0')).state, 'success');
  const late = await write(set, 'c, of before');
  await reached(late);

  await member!.stop();
  rmSync(member!.dbPath, { recursive: true });
  renameSync(`${member!.dbPath}-older`, member!.dbPath);
  await member!.restart();
  await set.settled();
  const again = await write(set, 'd, of after');
  const window = await until('a base of the newer history', 150_000, async () => {
    const now = await platform.ok('window', 'rs0');
    return now.points.length === 2 && now.points[1].proof !== null && compareTimes(now.to, again) >= 0 ? now : undefined;
  }, { everyMs: 500 });
  const [older, newer] = window.points;
  const [first, second] = window.spans;
  assert.ok(compareTimes(second.after, older.checkpoint) < 0 && compareTimes(older.top, second.through) <= 0, `both chains hold the times of the point: ${JSON.stringify(window.spans)}`);
  assert.deepEqual([older.chain, newer.chain], [first.chain, second.chain]);
  assert.equal((await platform.ok('point', 'verify', older.id)).state, 'success');
  assert.equal((await platform.ok('window', 'rs0')).points[0].proof.ok, true);
  assert.deepEqual(await seen('--at', older.id), ['a', 'b, of before']);
  assert.deepEqual(await seen('--at', `${late.t},${late.i}`), ['a', 'b, of before', 'c, of before']);
  assert.deepEqual(await seen('--at', 'latest'), ['a', 'd, of after']);
});
