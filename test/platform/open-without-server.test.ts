/** The server's machine is gone: the repository and its passphrase are all there is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { openPlatform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

const launcher = join(import.meta.dirname, '../../bin/tidemark');
const place = mkdtempSync(join(tmpdir(), 'tm-alone-'));
const repository = join(place, 'repository');
const passphrase = ['--passphrase-file', join(place, 'passphrase')];
let set: ReplicaSet;
let client: MongoClient;

before(async () => {
  set = await openReplicaSet({ members: 1, name: 'rs0', oplogSizeMb: 64 });
  client = await set.client();
  await orders().insertMany(Array.from({ length: 500 }, (_, n) => ({ _id: n, n: n * n })));
  await orders().createIndex({ n: 1 }, { name: 'by_n', unique: true });
  await using platform = await openPlatform();
  await platform.ok('set', 'add', set.uri);
  await platform.ok('backup', 'run', 'rs0');
  await orders().updateMany({}, { $set: { late: true } }, { writeConcern: { w: 'majority' } });
  await until('the archive to hold the update', 60_000, async () => {
    const { matches } = await platform.ok('oplog', 'find', 'rs0', '--ns', 'shop.orders', '--op', 'update', '--limit', '1000');
    return matches.length === 500 ? true : undefined;
  }, { everyMs: 500 });
  cpSync(join(platform.dataDir, 'repository'), repository, { recursive: true });
  writeFileSync(join(place, 'passphrase'), readFileSync(join(platform.dataDir, 'repository.passphrase')));
});
after(async () => {
  await client?.close();
  await set?.stop();
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

const orders = () => client.db('shop').collection<{ _id: number; n: number; late?: boolean }>('orders');

async function openRepository(...words: string[]): Promise<{ code: number; json: any; stderr: string }> {
  return await new Promise((resolve) => {
    const child = execFile(launcher, ['repository', 'open', repository, ...words, '--json'], { timeout: 300_000 }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, json: JSON.parse(stdout), stderr });
    });
  });
}

/** Every file of the repository with its size and time of change. */
function pictureOf(directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.sort().map((path) => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`);
}

test('the passphrase alone lists sets, points and windows, and changes nothing in the repository', async () => {
  const before = pictureOf(repository);
  const { code, json, stderr } = await openRepository(...passphrase);
  assert.equal(code, 0, stderr);
  assert.deepEqual(json.sets.map((known: { setName: string; points: unknown[] }) => [known.setName, known.points.length]), [['rs0', 1]]);
  assert.ok(json.sets[0].to.t >= json.sets[0].from.t);
  assert.deepEqual(pictureOf(repository), before);
});

test('a wrong passphrase opens nothing and is named', async () => {
  writeFileSync(join(place, 'wrong'), 'not the passphrase\n');
  const { code, json } = await openRepository('--passphrase-file', join(place, 'wrong'));
  assert.equal(code, 1);
  assert.equal(json.failure.code, 'repository.passphrase-wrong');
});

test('a collection comes back into a live set, with its index, as it was at the point and at the latest moment', async () => {
  const { json } = await openRepository(...passphrase);
  const point = json.sets[0].points[0].id as string;
  for (const [moment, name, late] of [[point, 'at_point', undefined], ['latest', 'at_latest', true]] as const) {
    const wanted = ['--at', moment, '--ns', `shop.orders=shop.${name}`, '--into', set.uri];
    const plan = await openRepository(...passphrase, ...wanted);
    assert.deepEqual([plan.code, plan.json.applied], [0, false], plan.stderr);
    const done = await openRepository(...passphrase, ...wanted, '--apply');
    assert.deepEqual([done.code, done.json.applied, done.json.documents], [0, true, 500], done.stderr);
    const back = await client.db('shop').collection<{ _id: number }>(name).find().sort({ _id: 1 }).toArray();
    assert.deepEqual(back, Array.from({ length: 500 }, (_, n) => (late === undefined ? { _id: n, n: n * n } : { _id: n, n: n * n, late })));
    const indexes = await client.db('shop').collection(name).indexes();
    assert.deepEqual(indexes.map((index) => [index.name, index.unique]), [['_id_', undefined], ['by_n', true]]);
  }
});

test('words that do not fit together are refused before anything is opened', async () => {
  for (const [words, says] of [
    [['--at', 'latest'], /needs --to-dir, or --ns and --into/],
    [['--to-dir', '/x:1'], /needs --at/],
    [['--at', 'latest', '--ns', 'a.b'], /needs --into/],
    [['--at', 'latest', '--ns', 'a.b', '--to-dir', '/x:1'], /exclude each other/],
  ] as const) {
    const { code, json } = await openRepository('--passphrase-file', '/nonexistent', ...words);
    assert.equal(code, 2);
    assert.match(json.failure.message, says);
  }
});
