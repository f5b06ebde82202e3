/** The server's machine is gone: the repository and its passphrase are all there is. Before that, its set's oplog rolls over while it is paused. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { compareTimes } from '../../src/base/cluster-time.ts';
import { until } from '../../src/base/deadline.ts';
import { oplogWindow } from '../../src/mongo/topology.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

const launcher = join(import.meta.dirname, '../../bin/tidemark');
const place = mkdtempSync(join(tmpdir(), 'tm-alone-'));
const repository = join(place, 'repository');
const passphrase = ['--passphrase-file', join(place, 'passphrase')];
let gap: { broken: Standing; mended: Standing };
let set: ReplicaSet;
let client: MongoClient;

before(async () => {
  set = await openReplicaSet({ members: 1, name: 'rs0', oplogSizeMb: 1 });
  client = await set.client();
  await orders().insertMany(Array.from({ length: 500 }, (_, n) => ({ _id: n, n: n * n })));
  await orders().createIndex({ n: 1 }, { name: 'by_n', unique: true });
  await using platform = await openPlatform({ keptIn: [process.execPath] });
  await platform.ok('set', 'add', set.uri);
  await platform.ok('backup', 'run', 'rs0');
  await orders().updateMany({}, { $set: { late: true } }, { writeConcern: { w: 'majority' } });
  await until('the archive to hold the update', 60_000, async () => {
    const { matches } = await platform.ok('oplog', 'find', 'rs0', '--ns', 'shop.orders', '--op', 'update', '--limit', '1000');
    return matches.length === 500 ? true : undefined;
  }, { everyMs: 500 });
  cpSync(join(platform.dataDir, 'repository'), repository, { recursive: true });
  writeFileSync(join(place, 'passphrase'), readFileSync(join(platform.dataDir, 'repository.passphrase')));
  gap = await rollOverWhilePaused(platform);
});
after(async () => {
  await client?.close();
  await set?.stop();
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

type Standing = { readonly set: any; readonly window: any; readonly report: any };

/** How the set stands while its new chain has no base, and when one was made by itself. */
async function rollOverWhilePaused(platform: Platform): Promise<typeof gap> {
  await platform.ok('oplog', 'pause', 'rs0', '--reason', 'a test');
  const { oplog } = await until('the pause', 60_000, async () => {
    const shown = await platform.ok('set', 'show', 'rs0');
    return shown.oplog.state === 'paused' ? shown : undefined;
  }, { everyMs: 100 });
  const isGone = async (): Promise<boolean> => compareTimes((await oplogWindow(client))!.oldest, oplog.through) > 0;
  await until('the oplog to roll over', 120_000, async () => {
    await client.db('work').collection('big').insertMany(Array.from({ length: 16 }, () => ({ text: 'x'.repeat(20_000) })));
    // What recovery from the last checkpoint needs is never overwritten; this makes one.
    await client.db('admin').command({ fsync: 1 });
    return (await isGone()) ? true : undefined;
  }, { everyMs: 50 });
  await platform.ok('oplog', 'resume', 'rs0');
  const standing = async (): Promise<Standing> => {
    const [shown, window, report] = await Promise.all([platform.ok('set', 'show', 'rs0'), platform.ok('window', 'rs0'), platform.tidemark('report', 'daily')]);
    return { set: shown, window, report: report.json.sets[0] };
  };
  const broken = await until('the break', 60_000, async () => {
    const seen = await standing();
    return seen.set.alarms.length === 1 && seen.report.oplogState === 'following' && seen.window.spans.length === 2 ? seen : undefined;
  }, { everyMs: 50 });
  const mended = await until('a base by itself', 120_000, async () => {
    const seen = await standing();
    return seen.report.alarmsOpen === 0 ? seen : undefined;
  }, { everyMs: 200 });
  return { broken, mended };
}

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

test('an oplog that rolled over while it was paused leaves the set unprotected, with a gap in its window, until a new base is there by itself', () => {
  const { broken, mended } = gap;
  assert.match(broken.set.alarms[0].says, /rolled over .*it was paused by .*\(a test\)/);
  assert.deepEqual([broken.set.oplog.needsBase, broken.report.isProtected], [true, false]);
  assert.ok(broken.report.reasons.some((reason: string) => /^nothing written after .* can be restored before a new restore point is there \(oplog chain broken\)$/.test(reason)), broken.report.reasons.join('; '));
  assert.deepEqual(broken.window.to, broken.set.oplog.restorableTo, 'the repository and the catalog say the same');
  assert.ok(Math.abs(broken.window.lossIfDisasterNowSeconds - broken.report.lossIfDisasterNowSeconds) <= 2);
  assert.deepEqual(broken.window.gaps.map(({ after, resumesAt }: any) => [after, resumesAt]), [[broken.window.to, null]]);

  assert.deepEqual([mended.set.oplog.needsBase, mended.report.isProtected, mended.report.reasons], [false, true, []]);
  const [, base] = mended.window.points;
  assert.equal(mended.window.points.length, 2);
  assert.deepEqual(mended.window.gaps[0].resumesAt, base.checkpoint);
  assert.ok(compareTimes(mended.window.to, base.top) >= 0);
  assert.equal(mended.set.alarms[0].backupSession === null, false);
});

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
