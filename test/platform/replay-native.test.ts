/** Native replay against a real mongod: what a copy is brought to equals what the set held, whatever the moment. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BSON, type Document, type MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { compareTimes, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { justBefore } from '../../src/domain/oplog-chain.ts';
import { openCommandReplay, startReplayTarget } from '../../src/mongo/command-replay.ts';
import { compareSnapshots, snapshotOf, type Snapshot } from '../../src/mongo/dbhash.ts';
import { startMongod } from '../../src/mongo/mongod.ts';
import { bringTo, type Replayed, type ReplayOptions } from '../../src/mongo/native-replay.ts';
import { batchOf, readEntry } from '../../src/mongo/oplog-entry.ts';
import { freePorts } from '../kit/free-port.ts';
import { copyFiles, oplogOf, type FileCopy } from '../kit/oplog-capture.ts';
import { makeHistory, type ReplayHistory } from '../kit/replay-history.ts';

let work: string;
let history: ReplayHistory;
let runs = 0;

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'tm-replay-'));
  history = await makeHistory(work);
});
after(() => rmSync(work, { recursive: true, force: true, maxRetries: 5 }));

type Changed = Partial<ReplayOptions> & { readonly copy?: FileCopy };

/** Files that only processes of another namespace can see are loaded by a mongod; all others through their journal. */
const byMongod = { wrap: ['env'] } as const;
const ways = [['journal', {}], ['mongod', byMongod]] as const;

function replayOptions(target: ClusterTime, { copy = history.secondaryCopy, ...changed }: Changed = {}): ReplayOptions {
  const dbPath = join(work, `run-${runs++}`);
  copyFiles(copy.dbPath, dbPath);
  const { binary, mongoVersion, oplog } = history;
  const span = { after: { t: 0, i: 0 }, through: oplog.entries.at(-1)!.at };
  return {
    binary,
    mongodVersion: mongoVersion,
    dbPath,
    checkpoint: copy.checkpoint,
    target,
    archive: oplog.read,
    span,
    inspect: true,
    cacheGb: 0.25,
    socketDir: join(work, 's'),
    ...changed,
  };
}

/** Brings a copy to the target and says what is there then. */
async function stateAt(
  target: ClusterTime,
  changed: Changed = {},
  look?: (client: MongoClient) => Promise<void>,
): Promise<Snapshot & { replayed: Replayed }> {
  const options = replayOptions(target, changed);
  const replayed = await bringTo(options);
  try {
    await using client = await replayed.mongod!.client();
    await look?.(client);
    return { ...(await snapshotOf(client)), replayed };
  } finally {
    await replayed.mongod!.kill();
    rmSync(options.dbPath, { recursive: true });
  }
}

function entryOf(command: string): ClusterTime {
  const found = history.oplog.entries.findLast(
    ({ bytes }) => readEntry(bytes).first === command && readEntry(bytes).ns === 'shop.$cmd',
  );
  assert.ok(found !== undefined, `the history has a ${command}`);
  return found.at;
}

function assertEqual(a: Snapshot, b: Snapshot): void {
  assert.deepEqual(compareSnapshots(a, b, ['source', 'replayed']), []);
}

test('a copy of a secondary is brought to the end, over an election and past its own oplog', async () => {
  const { end } = history.paused;
  const loads: Omit<Replayed['loaded'], 'by'>[] = [];
  for (const [way, how] of ways) {
    const { replayed, ...state } = await stateAt(end.at, how);
    assertEqual(end.snapshot, state);
    const { by, ...loaded } = replayed.loaded;
    assert.equal(by, way);
    assert.ok(loaded.compared > 100 && loaded.appended > 10, JSON.stringify(loaded));
    loads.push(loaded);
  }
  assert.deepEqual(loads[0], loads[1], 'both ways found and added the same');
  assert.ok(new Set(history.oplog.entries.map(({ at }) => at.term)).size > 1, 'the history has an election');
});

test('a collection alone is the same as with everything else, and what it does not need is not replayed', async (t) => {
  const { end } = history.paused;
  let leftOut = 0;
  for (const ns of seriesAndCollections(2)) {
    const { replayed, hashes, catalogue } = await stateAt(end.at, { only: [ns] });
    const hidden = ns.replace('.', '.system.buckets.');
    const own = hashes[ns] ?? hashes[hidden];
    assert.ok(own !== undefined && own === (end.snapshot.hashes[ns] ?? end.snapshot.hashes[hidden]), `documents of ${ns}`);
    assert.deepEqual(catalogue[ns], end.snapshot.catalogue[ns]);
    t.diagnostic(`${ns}: ${replayed.loaded.leftOut} of ${replayed.loaded.appended} left out`);
    leftOut += replayed.loaded.leftOut;
  }
  assert.ok(leftOut > 0, 'something was left out');
});

/** Collections with documents at the end, a time series first. */
function seriesAndCollections(most: number): string[] {
  const { hashes } = history.paused.end.snapshot;
  const names = Object.keys(hashes).filter((ns) => !ns.includes('.system.') || ns.includes('.system.buckets.'));
  const plain = names.map((ns) => ns.replace('.system.buckets.', '.'));
  return plain.sort((a, b) => Number(names.includes(a)) - Number(names.includes(b))).slice(0, most);
}

test('a copy of a primary that was killed keeps every added entry, although it brings a truncate point of its own', async () => {
  const { end } = history.paused;
  assert.ok((await truncatePointOf(history.primaryCopy)) !== null, 'the copy of a primary has a truncate point');
  for (const [, how] of ways) assertEqual(end.snapshot, await stateAt(end.at, { ...how, copy: history.primaryCopy }));
});

async function truncatePointOf(copy: FileCopy): Promise<unknown> {
  const { dbPath, socketDir, binary } = replayOptions(copy.top, { copy });
  await using mongod = await startMongod({ binary, dbPath, socketDir, logPath: join(work, 'look.log') });
  await using client = await mongod.client();
  return await client.db('local').collection('replset.oplogTruncateAfterPoint').findOne();
}

test('a moment inside the copy is reached by taking the entries after it away', async () => {
  const { beforeTransaction } = history.paused;
  for (const [, how] of ways) assertEqual(beforeTransaction.snapshot, await stateAt(beforeTransaction.at, how));
});

test('at a moment inside a transaction above 16 MB nothing of it is there', async () => {
  const first = history.oplog.entries.find(
    ({ bytes }) => readEntry(bytes).first === 'applyOps' && bytes.length > 7 << 20,
  )!;
  assert.equal(
    (BSON.deserialize(first.bytes) as { o: Document }).o['partialTxn'],
    true,
    'the history has a large transaction',
  );
  const inside = await stateAt(first.at, {}, async (client) =>
    assert.equal(await client.db('shop').collection('orders').countDocuments({ inTransaction: true }), 0),
  );
  assert.equal(inside.hashes['shop.orders'], history.paused.beforeTransaction.snapshot.hashes['shop.orders']);
});

test('the command replay of the same archive, from nothing, agrees inside an index build and at a random moment', async () => {
  const commit = entryOf('commitIndexBuild');
  const moments: [string, ClusterTime][] = [['between the start and the end of an index build', justBefore(commit)]];
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const possible = history.oplog.entries.filter(({ at }) => compareTimes(at, history.secondaryCopy.checkpoint) > 0);
  const chosen = possible[(seed * 7_919) % possible.length]!.at;
  moments.push([`a random entry (SEED=${seed}: ${showTime(chosen)})`, chosen]);
  moments.sort(([, a], [, b]) => compareTimes(a, b));
  mkdirSync(join(work, 'reference'));
  await using target = await startReplayTarget({
    binary: history.binary,
    dbPath: join(work, 'reference'),
    socketDir: join(work, 'r'),
    logPath: join(work, 'r.log'),
    cacheGb: 0.25,
  });
  await using reference = await openCommandReplay({ socket: target.socket });
  await using client = await target.client();
  const span = { after: { t: 0, i: 0 }, through: moments.at(-1)![1] };
  let at: ClusterTime = { t: 0, i: 0 };
  for (const [what, moment] of moments) {
    for await (const batch of history.oplog.read(at, moment)) await reference.apply(batch);
    at = moment;
    await reference.settle();
    const state = await stateAt(moment, { span });
    assert.deepEqual(compareSnapshots(await snapshotOf(client), state, ['command replay', 'native replay']), [], what);
  }
});

test('the moment before an operation does not have it', async () => {
  const last = history.oplog.entries.findLast(({ bytes }) => readEntry(bytes).op === 'd')!.at;
  const count = async (client: MongoClient): Promise<number> =>
    await client
      .db('shop')
      .collection('orders')
      .countDocuments({ _id: 9 as never });
  await stateAt(justBefore(last), {}, async (client) => assert.equal(await count(client), 1));
});

test('entries that the copy lacks below its top are filled from the archive, and a large transaction is there at its last entry', async () => {
  const { afterTransaction } = history.paused;
  for (const [way, how] of ways) {
    const options = replayOptions(afterTransaction.at, how);
    const removed = await withoutSome(options);
    const replayed = await bringTo(options);
    assert.equal(replayed.loaded.by, way);
    assert.equal(replayed.loaded.filled, removed);
    await using mongod = replayed.mongod!;
    await using client = await mongod.client();
    assertEqual(afterTransaction.snapshot, await snapshotOf(client));
  }
});

/** Every third of a hundred entries after the checkpoint is taken out of the copy's own oplog. */
async function withoutSome({ binary, dbPath, checkpoint }: ReplayOptions): Promise<number> {
  await using mongod = await startMongod({ binary, dbPath, socketDir: join(work, 'h'), logPath: join(work, 'h.log') });
  await using client = await mongod.client();
  const oplog = client.db('local').collection('oplog.rs');
  const above = await oplog.find({}, { sort: { $natural: 1 }, projection: { ts: 1 } }).toArray();
  const times = above
    .map((entry) => entry['ts'] as { t: number; i: number })
    .filter((ts) => compareTimes(ts, checkpoint) > 0);
  const chosen = times.slice(0, 100).filter((_, k) => k % 3 === 0);
  const { deletedCount } = await oplog.deleteMany({ ts: { $in: chosen } });
  assert.equal(deletedCount, chosen.length);
  await mongod.stop();
  return chosen.length;
}

test('an archive that tells another history in what both have is refused, and says where', async () => {
  const { end } = history.paused;
  const at =
    history.oplog.entries.findIndex(({ at: time }) => compareTimes(time, history.secondaryCopy.checkpoint) > 0) + 20;
  const without = oplogOf(history.oplog.entries.filter((_, k) => k !== at).map(({ bytes }) => bytes));
  const where = showTime(history.oplog.entries[at]!.at);
  const flipped = oplogOf(history.oplog.entries.map(({ bytes }, k) => (k === at ? changed(bytes) : bytes)));
  for (const [, how] of ways) {
    await assert.rejects(
      bringTo(replayOptions(end.at, { ...how, archive: without.read })),
      (error: Error & { code: string }) => error.code === 'mongo.replay-history-differs' && error.message.includes(where),
    );
    await assert.rejects(bringTo(replayOptions(end.at, { ...how, archive: flipped.read })), { code: 'mongo.replay-history-differs' });
  }
});

/** The last byte of the wall clock's value, which every entry has. */
function changed(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  const wall = copy.indexOf('wall\0');
  copy[wall + 5] = copy[wall + 5]! ^ 1;
  return copy;
}

test('a copy that is not from the checkpoint it is said to be from is refused', async () => {
  const { end } = history.paused;
  for (const [, how] of ways)
    await assert.rejects(bringTo(replayOptions(end.at, { ...how, checkpoint: justBefore(history.secondaryCopy.checkpoint) })), { code: 'mongo.replay-not-exact' });
});

test('what forbids a replay is said before anything is started', async () => {
  const { end } = history.paused;
  const through = history.oplog.entries.at(-1)!.at;
  const socketDir = join(work, 'never');
  const refused = async (target: ClusterTime, code: string, changedOptions: Changed = {}): Promise<void> => {
    await assert.rejects(bringTo(replayOptions(target, { socketDir, ...changedOptions })), { code });
    assert.equal(existsSync(socketDir), false, 'nothing was started');
  };
  await refused({ t: through.t + 1, i: 1 }, 'mongo.replay-beyond-archive');
  await refused(justBefore(history.secondaryCopy.checkpoint), 'mongo.replay-before-checkpoint');
  await refused(end.at, 'mongo.replay-not-covered', { span: { after: end.at, through } });
  await refused(end.at, 'mongo.replay-version', { mongodVersion: '7.0.12' });
  const swapped = history.oplog.entries
    .slice(-2)
    .map(({ bytes }) => batchOf([bytes]))
    .reverse();
  await refused(end.at, 'mongo.replay-archive-broken', {
    archive: async function* () {
      yield* swapped;
    },
  });
});

test('a replay that is stopped leaves no mongod behind and says why it ended', async () => {
  const stops = new AbortController();
  const socketDir = join(work, 'stopped');
  const onStep = (step: string, says: string): void => {
    if (step === 'replay' && says.startsWith('replay')) stops.abort(new Error('stopped by the test'));
  };
  await assert.rejects(
    bringTo(replayOptions(history.paused.end.at, { socketDir, signal: stops.signal, onStep })),
    /stopped by the test/,
  );
  const left = readdirSync(socketDir).filter((name) => name.endsWith('.mongod-marker'));
  assert.deepEqual(left, []);
});

test('a new set made of the files becomes primary and takes a majority write', async () => {
  const { end } = history.paused;
  const [port] = (await freePorts(1)) as [number];
  const options = replayOptions(end.at, {
    inspect: false,
    newSet: { name: 'restored', members: [{ id: 0, host: '127.0.0.1', port }] },
  });
  const { replicaSetId } = await bringTo(options);
  await using mongod = await startMongod({
    binary: options.binary,
    dbPath: options.dbPath,
    socketDir: join(work, 'p'),
    port,
    args: ['--replSet', 'restored', '--setParameter', 'ttlMonitorEnabled=false'],
    logPath: join(work, 'p.log'),
  });
  await using client = await mongod.client();
  await until('the restored set to have a primary', 60_000, async () =>
    (await client.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined,
  );
  assert.equal(
    (await client.db('admin').command({ replSetGetConfig: 1 }))['config'].settings.replicaSetId.toHexString(),
    replicaSetId,
  );
  assertEqual(end.snapshot, await snapshotOf(client));
  await client
    .db('after')
    .collection('x')
    .insertOne({ alive: true }, { writeConcern: { w: 'majority', wtimeoutMS: 30_000 } });
});
