/** Three copies, two places: a set is copied to a second repository, each heals the other, the first is lost, and the set comes back and goes on. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MongoClient, type ClientSession } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import { listArchives, openArchive, openRepository } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { freePort } from '../kit/free-port.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let other: Platform | undefined;
let work: string;
let second: string;
let disk: string;
let passphraseFile: string;

before(async () => {
  work = await mkdtemp(join(tmpdir(), 'tm-second-copy-'));
  [second, disk, passphraseFile] = [join(work, 'second'), join(work, 'disk'), join(work, 'passphrase')];
  await writeFile(passphraseFile, 'another secret altogether\n');
  set = await openReplicaSet({ members: 1 });
  client = await set.client();
  platform = await openPlatform({ keptIn: [process.execPath] });
});
after(async () => {
  await Promise.all([platform?.[Symbol.asyncDispose](), other?.[Symbol.asyncDispose]()]);
  await client?.close();
  await set?.stop();
  await rm(work, { recursive: true, force: true });
});

const shop = () => client.db('shop').collection<{ _id: number; bytes?: Buffer; n?: number }>('orders');

/** Runs a write and answers its cluster time as operators type it. */
async function at(write: (options: { session: ClientSession; writeConcern: { w: 'majority' } }) => Promise<unknown>): Promise<string> {
  const session = client.startSession();
  try {
    await write({ session, writeConcern: { w: 'majority' } });
    return `${session.operationTime!.getHighBitsUnsigned()},${session.operationTime!.getLowBitsUnsigned()}`;
  } finally {
    await session.endSession();
  }
}

const parsed = (moment: string) => moment.split(',').map(Number) as [number, number];

/** Until the set's own archive, and then its copy, hold a moment. */
async function copied(moment: string): Promise<any> {
  const [t, i] = parsed(moment);
  await until(`the archive to reach ${moment}`, 60_000, async () => {
    const { to } = await platform.ok('window', 'rs0');
    return to !== null && (to.t > t || (to.t === t && to.i >= i)) ? true : undefined;
  }, { everyMs: 300 });
  return await platform.ok('copy', 'run', 'rs0');
}

/** Every name, size and time of change below a directory. */
async function everything(root: string): Promise<string[]> {
  const names = (await readdir(root, { recursive: true })).sort();
  return await Promise.all(names.map(async (name) => {
    const { size, mtimeMs } = await stat(join(root, name));
    return `${name} ${size} ${mtimeMs}`;
  }));
}

async function flipInPacks(repository: string): Promise<number> {
  const packs = (await readdir(repository, { recursive: true })).filter((name) => /\/packs\/..\/[0-9a-f]{32}$/.test(name));
  for (const pack of packs) {
    const file = await open(join(repository, pack), 'r+');
    const { size } = await file.stat();
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, Math.floor(size / 3));
    byte[0]! ^= 0x10;
    await file.write(byte, 0, 1, Math.floor(size / 3));
    await file.close();
  }
  return packs.length;
}

test('a copy has the point and the oplog, is listed with its origin, opens as the point does, and a second run has nothing to do', async () => {
  await shop().insertMany(Array.from({ length: 300 }, (_, n) => ({ _id: n, bytes: randomBytes(32_768) })));
  await platform.ok('set', 'add', set.uri);
  await platform.ok('repository', 'add', 'second', second, '--passphrase-file', passphraseFile);
  const itself = await platform.tidemark('copy', 'add', 'rs0', '--to', 'default');
  assert.equal(itself.json.failure.code, 'server.copy-to-itself');
  await platform.ok('copy', 'add', 'rs0', '--to', 'second', '--keep', '30');
  const { point } = await platform.ok('backup', 'run', 'rs0');
  const first = await platform.ok('copy', 'run', 'rs0/second');
  assert.deepEqual([first.state, first.points.length, first.failed], ['success', 1, []]);
  await at((options) => shop().insertOne({ _id: 1000, n: 1 }, options));
  const next = await platform.ok('copy', 'run', 'rs0');
  assert.deepEqual([next.points, next.bytes.read], [[], 0]);
  const { points } = await platform.ok('point', 'list', 'rs0');
  const copies = points.filter(({ repository }: { repository: string }) => repository === 'second');
  assert.ok(first.bytes.read > 300 * 32_768);
  assert.deepEqual([points.length, copies.length, copies[0].copiedFrom.point, copies[0].copiedFrom.repositoryName], [2, 1, point, 'default']);
  const original = points.find(({ id }: { id: string }) => id === point);
  for (const key of ['checkpoint', 'top', 'createdAtMs', 'mongoVersion']) assert.deepEqual(copies[0][key], original[key]);
  assert.equal((await platform.ok('point', 'verify', point, '--repository', 'second')).point, copies[0].id);
});

test('flipped bytes in the first repository are healed from the copy, and the points are whole again', async () => {
  const repository = join(platform.dataDir, 'repository');
  assert.ok((await flipInPacks(repository)) > 0);
  const check = await platform.tidemark('repository', 'check', '--read-data');
  assert.equal(check.code, 1);
  const hurt = check.json.archives[0].hurtPoints;
  assert.ok(hurt.length > 0);
  const alone = await platform.tidemark('repository', 'repair');
  assert.deepEqual([alone.code, alone.json.archives[0].stillHurt], [3, hurt]);
  const repaired = await platform.ok('repository', 'repair', 'default', '--from', 'second');
  assert.deepEqual([repaired.ok, repaired.archives[0].wholeAgain, repaired.archives[0].stillHurt], [true, hurt, []]);
  assert.deepEqual((await platform.tidemark('repository', 'check', '--read-data')).json.archives[0].hurtPoints, []);
});

test('the first repository is deleted, and the whole set comes back from the copy with the same dbHash', async () => {
  const last = await at((options) => shop().insertOne({ _id: 2000, n: 2 }, options));
  await copied(last);
  const wanted = await hashAll(client);
  await cp(second, disk, { recursive: true, preserveTimestamps: true });
  await rm(join(platform.dataDir, 'repository'), { recursive: true });
  const gone = await platform.tidemark('window', 'rs0');
  assert.notEqual(gone.code, 0);
  const port = await freePort();
  const restored = await platform.ok('restore', 'set', 'rs0', '--repository', 'second', '--at', last, '--to-dir', `${join(work, 'back')}:${port}`, '--name', 'rs0-back', '--start', '--apply');
  assert.equal(restored.applied, true);
  const back = await MongoClient.connect(`mongodb://127.0.0.1:${port}/?replicaSet=rs0-back`);
  try {
    assert.deepEqual(await hashAll(back), wanted);
  } finally {
    await back.db('admin').command({ shutdown: 1, force: true }).catch(() => {});
    await back.close();
  }
});

test('the set goes on in the copy: the next backup is incremental, no moment is lost, and the copy is no copy any more', async () => {
  const { applied, sets } = await platform.ok('repository', 'adopt', 'second', '--apply');
  assert.deepEqual([applied, sets, (await platform.ok('copy', 'list')).copies], [true, ['rs0'], []]);
  const { point, copied: way, verified } = await platform.ok('backup', 'run', 'rs0');
  assert.deepEqual([way, verified, (await platform.ok('point', 'show', point)).repository], ['incremental', true, 'second']);
  const { points, gaps } = await platform.ok('window', 'rs0');
  assert.deepEqual([points.length, gaps], [2, []]);
});

test('another server attaches the copy read-only, reads any moment of it, takes it over when nobody is at work there, and goes on in it', async () => {
  other = await openPlatform({ keptIn: [process.execPath] });
  const server = other;
  const before = await everything(disk);
  const imported = await server.ok('repository', 'import', disk, '--passphrase-file', passphraseFile, '--name', 'old');
  assert.deepEqual([imported.isAttached, imported.archives.map(({ setName, points }: { setName: string; points: number }) => [setName, points])], [true, [['rs0', 1]]]);
  assert.equal((await server.ok('point', 'list')).points.length, 1);
  const { uri, id } = await server.ok('publish', 'start', 'rs0', '--repository', 'old', '--at', 'latest');
  const visitor = await MongoClient.connect(uri);
  assert.equal(await visitor.db('shop').collection<{ _id: number }>('orders').countDocuments({ _id: { $gte: 1000 } }), 2);
  await visitor.close();
  await server.ok('publish', 'stop', id);
  assert.equal((await server.ok('repository', 'check', 'old', '--read-data')).ok, true);
  for (const words of [['repository', 'sweep', 'old'], ['repository', 'repair', 'old'], ['set', 'add', set.uri, '--repository', 'old']]) {
    assert.equal((await server.tidemark(...words)).json.failure.code, 'server.repository-attached', words.join(' '));
  }
  assert.deepEqual(await everything(disk), before, 'nothing was written into it');

  await server.ok('set', 'add', set.uri);
  const storage = await openDirectory(disk);
  const [archive] = await listArchives(storage, (await openRepository(storage, 'another secret altogether')).key);
  const writer = await (await openArchive(storage, archive!.setId, archive!.key)).openWriter({ level: 'fast', workers: 0 });
  const held = await server.tidemark('repository', 'adopt', 'old', '--apply');
  assert.deepEqual([held.code, held.json.failure.code], [5, 'server.repository-held']);
  await writer.close();
  const plan = await server.ok('repository', 'adopt', 'old');
  assert.deepEqual([plan.applied, plan.sets], [false, ['rs0']]);
  assert.equal((await server.ok('set', 'show', 'rs0')).repository, 'default');
  await server.ok('repository', 'adopt', 'old', '--apply');
  assert.equal((await server.ok('set', 'show', 'rs0')).repository, 'old');
  const later = await at((options) => shop().insertOne({ _id: 3000, n: 3 }, options));
  const [t] = parsed(later);
  const window = await until('the oplog to go on there', 60_000, async () => {
    const found = await server.ok('window', 'rs0');
    return found.to.t >= t ? found : undefined;
  }, { everyMs: 300 });
  assert.deepEqual([window.points.length, window.gaps], [1, []]);
});
