/** The main job, with the ordinary commands, against a real replica set: protect, go on writing, bring any moment back. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import { freePort } from '../kit/free-port.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { checkpointMembers, openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let work: string;

before(async () => {
  work = await mkdtemp(join(tmpdir(), 'tm-any-moment-'));
  set = await openReplicaSet({ members: 3 });
  client = await set.client();
  platform = await openPlatform({ keptIn: [process.execPath] });
});
after(async () => {
  await platform?.[Symbol.asyncDispose]();
  await client?.close();
  await set?.stop();
  await rm(work, { recursive: true, force: true });
});

const shop = () => client.db('shop').collection<{ _id: number; n: number }>('orders');

/** Runs a write with majority concern and answers its cluster time as operators type it. */
async function at(write: (options: { session: import('mongodb').ClientSession; writeConcern: { w: 'majority' } }) => Promise<unknown>): Promise<string> {
  const session = client.startSession();
  try {
    await write({ session, writeConcern: { w: 'majority' } });
    const { operationTime } = session;
    return `${operationTime!.getHighBitsUnsigned()},${operationTime!.getLowBitsUnsigned()}`;
  } finally {
    await session.endSession();
  }
}

/** Until the archive holds a moment. */
async function archived(moment: string): Promise<void> {
  const [t, i] = moment.split(',').map(Number) as [number, number];
  await until(`the archive to reach ${moment}`, 60_000, async () => {
    const { to } = await platform.ok('window', 'rs0');
    return to !== null && (to.t > t || (to.t === t && to.i >= i)) ? true : undefined;
  }, { everyMs: 500 });
}

async function published<T>(moment: string, look: (client: MongoClient) => Promise<T>): Promise<T> {
  const publication = await platform.ok('publish', 'start', 'rs0', '--at', moment);
  const visitor = await MongoClient.connect(publication.uri);
  try {
    return await look(visitor);
  } finally {
    await visitor.close();
    await platform.ok('publish', 'stop', publication.id);
  }
}

let updated: string;
let dropped: string;

test('a set is protected with one command, and a backup ends with success only after a mongod has opened it', async () => {
  await client.db('shop').collection('pictures').insertMany(Array.from({ length: 200 }, () => ({ bytes: randomBytes(65_536) })));
  await at((options) => shop().insertMany(Array.from({ length: 2_000 }, (_, n) => ({ _id: n, n: 0 })), options));
  // Moments are chosen by chance below, from the first point's checkpoint on: what is checked there has to be there by then.
  await checkpointMembers(set);
  await platform.ok('set', 'add', set.uri);
  const backup = await platform.ok('backup', 'run', 'rs0');
  assert.equal(backup.state, 'success');
  assert.equal(backup.verified, true);
  assert.ok(['clone', 'window', 'lock'].includes(backup.method));
  assert.ok(backup.bytes.processed > 0 && backup.bytes.stored > 0 && backup.bytes.stored < backup.bytes.processed);
  const { points } = await platform.ok('point', 'list', 'rs0');
  assert.equal(points.length, 1);
  assert.equal(points[0].proof.ok, true);
});

test('every later moment can be looked at, to the operation, and the window says which', async () => {
  updated = await at((options) => shop().updateMany({}, { $inc: { n: 1 } }, options));
  dropped = await at((options) => client.db('shop').dropCollection('orders', options));
  await archived(dropped);
  const window = await platform.ok('window', 'rs0');
  assert.deepEqual(window.gaps, []);
  assert.equal(await published(updated, async (visitor) => await visitor.db('shop').collection('orders').countDocuments({ n: 1 })), 2_000);
  assert.equal(await published(`before:${dropped}`, async (visitor) => await visitor.db('shop').collection('orders').countDocuments()), 2_000);
  assert.equal(await published(dropped, async (visitor) => await visitor.db('shop').collection('orders').countDocuments()), 0);
});

test('the operation that dropped a collection is found, and the collection comes back beside or in its place', async () => {
  const { matches } = await platform.ok('oplog', 'find', 'rs0', '--ns', 'shop.orders', '--op', 'command');
  const drop = matches.find((match: { what: string }) => match.what.includes('drop'));
  assert.equal(`${drop.at.t},${drop.at.i}`, dropped);
  await platform.ok('restore', 'collections', 'rs0', '--at', `before:${dropped}`, '--ns', 'shop.orders=shop.orders_back');
  assert.equal(await client.db('shop').collection('orders_back').countDocuments(), 0, 'a plan changes nothing');
  await platform.ok('restore', 'collections', 'rs0', '--at', `before:${dropped}`, '--ns', 'shop.orders=shop.orders_back', '--apply');
  assert.equal(await client.db('shop').collection('orders_back').countDocuments({ n: 1 }), 2_000);
  const { from } = await platform.ok('window', 'rs0');
  const tooEarly = await platform.tidemark('restore', 'collections', 'rs0', '--at', `${from.t - 1},1`, '--ns', 'shop.orders', '--apply');
  assert.deepEqual([tooEarly.code, tooEarly.json.failure.code], [1, 'domain.moment-unreachable']);
});

test('what a killed restore left in a database is named by the next one and dropped by nobody', async () => {
  const left = ['tidemark.building.1-killed', 'tidemark.kept.1-killed.orders'];
  for (const name of left) await client.db('shop').collection(name).insertOne({ precious: true });
  const { session } = await platform.ok('restore', 'collections', 'rs0', '--at', `before:${dropped}`, '--ns', 'shop.orders=shop.orders_again', '--apply');
  const said = JSON.stringify((await platform.ok('session', 'show', session)).log);
  assert.match(said, /shop\.tidemark\.building\.1-killed is being built by another restore since 1970/);
  assert.match(said, /shop\.tidemark\.kept\.1-killed\.orders is a LIVE collection/);
  for (const name of left) {
    assert.equal(await client.db('shop').collection(name).countDocuments(), 1);
    await client.db('shop').dropCollection(name);
  }
  await client.db('shop').dropCollection('orders_again');
});

test('an incremental stores what changed and no more, and is a whole point to a restore', async () => {
  const first = (await platform.ok('point', 'list', 'rs0')).points[0];
  const backup = await platform.ok('backup', 'run', 'rs0');
  assert.equal(backup.verified, true);
  assert.ok(first.bytes.stored > 200 * 65_536 && backup.bytes.stored < first.bytes.stored / 2, `${backup.bytes.stored} after ${first.bytes.stored}`);
  const verify = await platform.ok('point', 'verify', backup.point, '--full');
  assert.ok(Object.keys(verify.dbHash).includes('shop.orders_back'));
});

const checksFile = (checks: readonly object[]): string => JSON.stringify({ policy: 'nightly', checks });
const pictures = { name: 'all pictures are there', collection: 'shop.pictures', aggregate: [{ $group: { _id: null, count: { $sum: 1 } } }], expect: { equals: [{ _id: null, count: 200 }] } };

/** The newest restore point that was made by itself after an alarm. */
async function answered(what: string): Promise<string> {
  return await until(`a restore point for the alarm "${what}"`, 120_000, async () => {
    const { sessions } = await platform.ok('session', 'list');
    return sessions.find(({ kind, state, reason }: { kind: string; state: string; reason: string | null }) => kind === 'backup' && state === 'success' && reason?.startsWith(what) === true)?.id as string | undefined;
  }, { everyMs: 1_000 });
}

test('a set is verified at a moment by chance, and an own check that does not hold marks the point, is an alarm, and a new point is made', async () => {
  const file = join(work, 'checks.yaml');
  await platform.ok('policy', 'add', 'nightly', '--set', 'rs0', '--schedule', 'manual', '--verify', 'manual');
  await writeFile(file, checksFile([pictures]));
  assert.deepEqual((await platform.ok('check', 'apply', file, '--apply')).changes, [{ policy: 'nightly', adds: [pictures.name], changes: [], removes: [] }]);
  const { sessions: [held] } = await platform.ok('policy', 'verify', 'nightly');
  assert.deepEqual(held.checks.map(({ name, ok }: { name: string; ok: boolean }) => [name, ok]), [[pictures.name, true]]);
  const { proof } = await platform.ok('point', 'show', held.point);
  assert.deepEqual([proof.level, proof.ok, proof.checks.length], ['full', true, 1]);

  await writeFile(file, checksFile([pictures, { name: 'payments are there', collection: 'shop.payments', count: {}, expect: { atLeast: 1 } }]));
  await platform.ok('check', 'apply', file, '--apply');
  const failed = await platform.tidemark('policy', 'verify', 'nightly');
  const [session] = failed.json.sessions;
  assert.deepEqual([failed.code, session.failure.code], [1, 'server.verification-failed']);
  assert.match(session.failure.message, /1 of 2 own checks does not hold \("payments are there": 0 documents, expected at least 1\)/);
  await answered('a verification failed');
  const { verifications: [{ last }] } = await platform.ok('check', 'list', 'rs0');
  const { points } = await platform.ok('point', 'list', 'rs0');
  assert.equal(points.find(({ id }: { id: string }) => id === last.point).proof.ok, false);
  assert.equal(points.at(-1).proof.ok, true);
  await writeFile(file, checksFile([pictures]));
  await platform.ok('check', 'apply', file, '--apply');
});

test('the whole set comes back in new directories, becomes primary, takes writes, and has the same dbHash', async () => {
  const last = await at((options) => client.db('shop').collection<{ _id: number }>('marker').insertOne({ _id: 1 }, options));
  await archived(last);
  const wanted = await hashAll(client);
  const ports = [await freePort(), await freePort(), await freePort()];
  const members = ports.map((port, k) => `${join(work, `member-${k}`)}:${port}`);
  const flags = members.flatMap((member) => ['--to-dir', member]);
  const plan = await platform.ok('restore', 'set', 'rs0', '--at', last, '--name', 'rs0-restored', ...flags);
  assert.equal(plan.applied, false);
  const restored = await platform.ok('restore', 'set', 'rs0', '--at', last, '--name', 'rs0-restored', ...flags, '--start', '--apply');
  assert.equal(restored.applied, true);
  const back = await MongoClient.connect(`mongodb://127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}/?replicaSet=rs0-restored`);
  try {
    assert.deepEqual(await hashAll(back), wanted);
    await back.db('shop').collection('after').insertOne({ alive: true }, { writeConcern: { w: 3, wtimeoutMS: 30_000 } });
  } finally {
    for (const port of ports) {
      const member = await MongoClient.connect(`mongodb://127.0.0.1:${port}/?directConnection=true`);
      await member.db('admin').command({ shutdown: 1, force: true }).catch(() => {});
      await member.close();
    }
    await back.close();
  }
});

test('a damaged object is found by the re-read of a night, its points are marked, and the point that is made by itself is whole', async () => {
  const packs = (await readdir(join(platform.dataDir, 'repository'), { recursive: true })).filter((name) => /\/packs\/[^/]+(\/[^/]+)?$/.test(name)).map((name) => join(platform.dataDir, 'repository', name));
  const sized = await Promise.all(packs.map(async (path) => ({ path, about: await stat(path) })));
  const largest = sized.filter(({ about }) => about.isFile()).sort((a, b) => b.about.size - a.about.size)[0]!;
  const pack = await open(largest.path, 'r+');
  const byte = Buffer.alloc(1);
  const middle = Math.floor(largest.about.size / 2);
  await pack.read(byte, 0, 1, middle);
  await pack.write(Buffer.from([byte[0]! ^ 1]), 0, 1, middle);
  await pack.close();
  // A night that begins in the next minute but a few seconds.
  const soon = new Date(Date.now() + 65_000);
  const [name] = (await platform.ok('repository', 'list')).repositories.map((one: { name: string }) => one.name);
  await platform.ok('repository', 'reread', name, '--days', '1', '--at', `${String(soon.getHours()).padStart(2, '0')}:${String(soon.getMinutes()).padStart(2, '0')}`);
  const backup = await answered('stored bytes are damaged');
  const check = (await platform.ok('session', 'list')).sessions.find(({ kind }: { kind: string }) => kind === 'check');
  const [archive] = check.result.archives;
  assert.equal(check.state, 'warning');
  assert.ok(archive.hurtPoints.length > 0, JSON.stringify(archive));
  const { points } = await platform.ok('point', 'list', 'rs0');
  for (const hurt of archive.hurtPoints) assert.match(points.find(({ id }: { id: string }) => id === hurt).proof.says, /re-read found damage|own check/);
  const { point } = (await platform.ok('session', 'show', backup)).result;
  const verify = await platform.ok('point', 'verify', point, '--full');
  assert.deepEqual(verify.checks.map(({ ok }: { ok: boolean }) => ok), [true]);
});
