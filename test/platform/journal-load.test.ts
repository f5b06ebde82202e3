/** What is read of WiredTiger's files without WiredTiger, and what is written into its journal, against a real mongod. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compareTimes, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { readCopiedOplog, type CopiedOplog } from '../../src/mongo/copied-oplog.ts';
import { loadIntoJournal } from '../../src/mongo/journal-load.ts';
import { bringTo } from '../../src/mongo/native-replay.ts';
import { readOptime } from '../../src/mongo/oplog-entry.ts';
import { openDataDirectory } from '../../src/mongo/wiredtiger/data-directory.ts';
import { captureOplog, copyFiles, timeOf, type CapturedOplog } from '../kit/oplog-capture.ts';
import { openReplicaSet } from '../kit/replica-set.ts';

const collections = 400;
const names = ['local.oplog.rs', 'local.replset.oplogTruncateAfterPoint', 'local.replset.oplogTruncateAfterPoint _id_'];

let work: string;
let copy: string;
let checkpoint: ClusterTime;
let oplog: CapturedOplog;
let binary: string;
let mongodVersion: string;

/** A catalogue of several pages, an oplog whose beginning has been taken away, and entries that only the journal has. */
before(async () => {
  work = mkdtempSync(join(tmpdir(), 'tm-journal-load-'));
  await using set = await openReplicaSet({ members: 1, oplogSizeMb: 16, args: ['--syncdelay', '3600'] });
  await using client = await set.client();
  [binary, mongodVersion] = [set.binary, set.mongoVersion];
  const db = client.db('shop');
  for (let k = 0; k < collections; k++) await db.createCollection(`part-${k}`);
  const filler = 'x'.repeat(30_000);
  for (let k = 0; k < 40; k++) await db.collection<any>('filler').insertMany(Array.from({ length: 50 }, (_, n) => ({ _id: `${k}-${n}`, filler })));
  const admin = client.db('admin');
  await admin.command({ fsync: 1 });
  const { lastStableRecoveryTimestamp } = await admin.command({ replSetGetStatus: 1 });
  checkpoint = timeOf(lastStableRecoveryTimestamp);
  for (let k = 0; k < 500; k++) await db.collection<any>('orders').insertOne({ _id: k, k }, { writeConcern: { w: 1, journal: true } });
  copy = join(work, 'copy');
  copyFiles(set.members[0]!.dbPath, copy);
  for (let k = 500; k < 800; k++) await db.collection<any>('orders').insertOne({ _id: k, k });
  oplog = await captureOplog(client);
});
after(() => rmSync(work, { recursive: true, force: true, maxRetries: 5 }));

const lastJournal = (directory: string): string => join(directory, 'journal', readdirSync(join(directory, 'journal')).filter((name) => name.startsWith('WiredTigerLog')).sort().at(-1)!);

async function copied(directory: string): Promise<CopiedOplog | undefined> {
  await using data = await openDataDirectory(directory);
  const tables = await data!.tables(names);
  return await readCopiedOplog(data!, tables!.get(names[0]!)!, checkpoint);
}

test('tables are found in a catalogue of many pages, and the oplog that is read from the files is the one of the set', async () => {
  await using data = await openDataDirectory(copy);
  const tables = await data!.tables(names);
  assert.deepEqual([...tables!.keys()].sort(), [...names].sort());
  assert.equal(await data!.tables([...names, 'local.no.such']), undefined);
  const found = await copied(copy);
  const own = [...found!.entries.values()].map((entry) => ({ at: readOptime(entry), hex: entry.toString('hex') })).sort((a, b) => compareTimes(a.at, b.at));
  assert.ok(own.length > 400, `${own.length} entries from the checkpoint on`);
  const truth = oplog.entries.filter(({ at }) => compareTimes(at, checkpoint) >= 0).slice(0, own.length);
  assert.deepEqual(own.map(({ hex }) => hex), truth.map(({ bytes }) => Buffer.from(bytes).toString('hex')));
});

async function reach(directory: string, target: ClusterTime): Promise<{ documents: number; by: string; errors: string[] }> {
  const span = { after: { t: 0, i: 0 }, through: oplog.entries.at(-1)!.at };
  const socketDir = join(work, 's');
  const replayed = await bringTo({ binary, mongodVersion, dbPath: directory, checkpoint, target, archive: oplog.read, span, inspect: true, cacheGb: 0.25, socketDir });
  await using mongod = replayed.mongod!;
  await using client = await mongod.client();
  const documents = await client.db('shop').collection('orders').countDocuments();
  const errors: string[] = [];
  for (const name of ['oplog.rs', 'replset.oplogTruncateAfterPoint', 'replset.minvalid']) {
    const checked = await client.db('local').command({ validate: name });
    errors.push(...(checked['errors'] as string[]));
  }
  return { documents, by: replayed.loaded.by, errors };
}

/** The moment at which the set held so many orders. */
function momentOf(orders: number): ClusterTime {
  const inserts = oplog.entries.filter(({ bytes }) => Buffer.from(bytes).includes('shop.orders\0') && Buffer.from(bytes).includes('op\0\x02\0\0\0i\0'));
  return inserts[orders - 1]!.at;
}

/** The head of a record that says it is longer than what follows. */
const torn = Buffer.concat([Buffer.from([200, 0, 0, 0]), Buffer.alloc(300, 7)]);

for (const [what, tail] of [
  ['as it is', undefined],
  ['with a torn record at its end', torn],
  ['cut off behind its last record', Buffer.alloc(0)],
] as const) {
  test(`moments before and after the copy's own end are reached with one start, its journal ${what}`, async () => {
    const { end } = (await copied(copy))!;
    for (const orders of [100, 750]) {
      const directory = join(work, 'reached');
      copyFiles(copy, directory);
      const journal = lastJournal(directory);
      if (tail !== undefined) {
        truncateSync(journal, end);
        appendFileSync(journal, tail);
      }
      const target = momentOf(orders);
      assert.deepEqual(await reach(directory, target), { documents: orders, by: 'journal', errors: [] }, showTime(target));
      rmSync(directory, { recursive: true });
    }
  });
}

test('files of another kind are left to a mongod, and not touched', async () => {
  const span = { checkpoint, target: oplog.entries.at(-1)!.at, archive: oplog.read };
  for (const [what, change] of [
    ['a backup cursor', (at: string) => writeFileSync(join(at, 'WiredTiger.backup'), '')],
    ['journal files that are not one run', (at: string) => writeFileSync(join(at, 'journal', 'WiredTigerLog.0000009999'), Buffer.alloc(4096))],
    ['no journal', (at: string) => rmSync(join(at, 'journal'), { recursive: true })],
    ['a metadata that is cut off', (at: string) => truncateSync(join(at, 'WiredTiger.wt'), 4096)],
    ['no catalogue', (at: string) => rmSync(join(at, '_mdb_catalog.wt'))],
  ] as const) {
    const directory = join(work, 'foreign');
    copyFiles(copy, directory);
    change(directory);
    const before = fingerprint(directory);
    const said: string[] = [];
    assert.equal(await loadIntoJournal(directory, span, 1_000, (why) => said.push(why)), undefined, what);
    assert.ok(said.length === 1 && said[0]!.length > 10, what);
    assert.deepEqual(fingerprint(directory), before, what);
    rmSync(directory, { recursive: true });
  }
  assert.equal(await loadIntoJournal(copy, span, 2 ** 31, () => {}), undefined, 'more than a journal file takes');
});

/** Sizes, and what the small files and the journal hold. */
function fingerprint(directory: string): Record<string, string> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(directory, path)).isFile());
  const of = (path: string): string => (/WiredTiger/.test(path) ? createHash('sha256').update(readFileSync(join(directory, path))).digest('hex') : String(statSync(join(directory, path)).size));
  return Object.fromEntries(paths.sort().map((path) => [path, of(path)]));
}
