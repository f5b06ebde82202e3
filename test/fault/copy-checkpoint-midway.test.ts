/** Checkpoints that end, or are about to end, while a copy is taken. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { constants, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log.ts';
import { findPlaces } from '../../src/mongo/copy/clone-places.ts';
import { takeClone } from '../../src/mongo/copy/clone.ts';
import { isJournal, listFiles, listJournal, openDataDirectory, type DataDirectory, type SourceFile } from '../../src/mongo/copy/files.ts';
import { dropClone, listRecords } from '../../src/mongo/copy/kept-clones.ts';
import { takeCopy } from '../../src/mongo/copy/ladder.ts';
import { dropDeadClones, undoLeftovers } from '../../src/mongo/copy/leftovers.ts';
import { lookAtMember } from '../../src/mongo/copy/member.ts';
import { isStill, settle } from '../../src/mongo/copy/turtle.ts';
import { openLedger, type Errand } from '../../src/mongo/copy/way.ts';
import { openVault, type Vault } from '../kit/copy-vault.ts';
import type { CopyingOptions } from '../kit/copying-process.ts';
import { openLoopFileSystem, whyNoLoops, type LoopFileSystem } from '../kit/file-system.ts';
import { openCopy } from '../kit/opened-copy.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from '../kit/replica-set.ts';
import { startLoad, type WriteLoad } from '../kit/write-load.ts';

const skip = whyNoLoops('xfs');
const guardian = [process.execPath, new URL('../../src/main/guardian.ts', import.meta.url).pathname];

let volume: LoopFileSystem;
let work: string;
let set: ReplicaSet;
let load: WriteLoad;
let member: SetMember;
let client: MongoClient;
let data: DataDirectory;

before(async () => {
  if (skip !== false) return;
  work = mkdtempSync(join(tmpdir(), 'tm-midway-'));
  volume = await openLoopFileSystem('xfs', 2048);
  set = await openReplicaSet({ dbPaths: ['a', 'b'].map((name) => join(volume.path, name)), oplogSizeMb: 256 });
  load = await startLoad(set.address, { seedBytes: 12 << 20 });
  member = set.members[1]!;
  client = await member.client();
  data = await openDataDirectory(member, new Set());
});

after(async () => {
  await load?.stop();
  await client?.close();
  await set?.stop();
  await volume?.[Symbol.asyncDispose]();
  if (work !== undefined) rmSync(work, { recursive: true, force: true });
});

async function open(dbPath: string): Promise<{ t: number; i: number }> {
  let missing: number[] = [];
  const opened = await openCopy({ binary: set.binary, dbPath, socketDir: join(work, 's') }, async (copy, top) => {
    missing = await load.missing(copy, top);
  });
  rmSync(dbPath, { recursive: true });
  rmSync(`${dbPath}.log`);
  assert.deepEqual(opened.invalid, []);
  assert.deepEqual(missing, []);
  return opened.checkpoint;
}

async function window(store: Vault['store']): ReturnType<typeof takeCopy> {
  return await takeCopy(
    { client, address: member.address, local: member, workDirectory: join(work, 'state'), method: 'window', keepClone: false, guardianProgram: guardian, log: silentLog, signal: AbortSignal.timeout(90_000) },
    store,
  );
}

/** Forces a checkpoint in the middle of the final passes whose number `when` picks. */
function interrupted(vault: Vault, when: (pass: number) => boolean): Vault['store'] {
  let finals = 0;
  return async (files, pass) => {
    const half = Math.floor(files.length / 2);
    const gone = await vault.store(files.slice(0, half), pass);
    if (pass === 'final' && when(++finals)) await client.db('admin').command({ fsync: 1 });
    return [...gone, ...(await vault.store(files.slice(half), pass))];
  };
}

test('a checkpoint in the middle of a window is seen, and the second reading is a whole copy', { skip }, async () => {
  const vault = openVault(join(work, 'second'));
  const copy = await window(interrupted(vault, (pass) => pass === 1));
  const dbPath = join(work, 'opened');
  await vault.lay(copy.files, dbPath);
  assert.deepEqual(copy.checkpoint, await open(dbPath));
  assert.equal(vault.passes.length, 4, 'two readings in halves');
});

test('a checkpoint in the middle of every window leaves no copy at all', { skip }, async () => {
  const vault = openVault(join(work, 'every'));
  await assert.rejects(window(interrupted(vault, () => true)), { code: 'mongo.copy-not-possible', message: /a checkpoint ended while the files were read/ });
});

test('a journal that already leads to the next checkpoint is refused though the turtle has not moved', { skip }, async (t) => {
  let refused = 0;
  for (let round = 0; round < 3; round++) {
    const at = await settle(client, data.dbPath, member.name, { clock: systemClock, signal: AbortSignal.timeout(60_000) });
    assert.ok(at !== undefined);
    const dbPath = join(volume.path, 'opened');
    const files = (await listFiles(data, { underLock: false })).filter((file) => !isJournal(file.path));
    await cloneInto(dbPath, files);
    await startedAfter(async () => void (await client.db('load').collection('ledger').findOne({})));
    const good = await lastGoodJournal(at, () => (refused += 1));
    assert.ok(good !== undefined, 'no other checkpoint came in between');
    cpSync(good, join(dbPath, 'journal'), { recursive: true });
    assert.deepEqual(at.checkpoint, await open(dbPath), 'what was accepted opens at C');
  }
  t.diagnostic(`refused with an unmoved turtle: ${refused}`);
  assert.ok(refused > 0, 'the moment this test is about was met');
});

/** Some blocks of the files are written, and some of the journal, between the cloning of the one and of the other. */
async function startedAfter(read: () => Promise<void>): Promise<void> {
  const count = load.acknowledged.length;
  await withDeadline('more writes', 30_000, async () => {
    while (load.acknowledged.length < count + 60) await read();
  });
}

/** Copies the journal once, then has a checkpoint made, and copies it until the turtle moves; the last one that `isStill` accepted. */
async function lastGoodJournal(at: NonNullable<Awaited<ReturnType<typeof settle>>>, onRefused: () => void): Promise<string | undefined> {
  let good: string | undefined;
  let checkpoint: Promise<unknown> | undefined;
  let [next, spare] = [join(volume.path, 'journal-1'), join(volume.path, 'journal-2')];
  for (;;) {
    rmSync(next, { recursive: true, force: true });
    await cloneInto(next, await listJournal(data));
    const still = await isStill(at, client, data.dbPath, { clock: systemClock, signal: AbortSignal.timeout(60_000) });
    const moved = !readFileSync(join(data.dbPath, 'WiredTiger.turtle')).equals(at.turtle.bytes);
    if (still) {
      good = join(next, 'journal');
      [next, spare] = [spare, next];
    } else if (!moved) onRefused();
    checkpoint ??= client.db('admin').command({ fsync: 1 });
    if (!moved) continue;
    await checkpoint;
    return good;
  }
}

async function cloneInto(directory: string, files: readonly SourceFile[]): Promise<void> {
  for (const file of files) {
    mkdirSync(dirname(join(directory, file.path)), { recursive: true });
    await copyFile(file.from, join(directory, file.path), constants.COPYFILE_FICLONE_FORCE).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

test('a turtle that will not stay still: a secondary is cloned under a lock of milliseconds', { skip }, async (t) => {
  const vault = openVault(join(work, 'under-lock'));
  const found = await findPlaces(data, await listFiles(data, { underLock: false }), work);
  assert.ok(found.kind === 'found');
  const errand: Errand = {
    client,
    member: await lookAtMember(client),
    data,
    workDirectory: join(work, 'state'),
    clock: systemClock,
    log: silentLog,
    signal: AbortSignal.timeout(60_000),
    notes: [],
    ledger: openLedger(new Map(), vault.store, systemClock),
  };
  const lock = { program: guardian, address: member.address, acquireMs: 20_000, holdMs: 20_000 };
  const taken = await takeClone(errand, { places: found.places, older: null, keep: true, tries: 0, lock });
  assert.ok(taken.kind === 'taken', JSON.stringify(taken));
  t.diagnostic(`locked for ${Math.round(taken.lockedMs)} ms`);
  assert.ok(taken.lockedMs > 0);
  const dbPath = join(work, 'opened');
  await vault.lay(taken.files, dbPath);
  assert.deepEqual(taken.checkpoint, await open(dbPath));
  assert.equal((await client.db('admin').command({ currentOp: 1 }))['fsyncLock'], undefined);
  for (const record of await listRecords(errand.workDirectory)) await dropClone(errand.workDirectory, record);
});

test('a clone whose maker was killed is removed at the next start, one that is kept stays', { skip }, async () => {
  const state = join(work, 'killed');
  const kept = await takeCopy(
    { client, address: member.address, local: member, workDirectory: state, method: 'clone', keepClone: true, guardianProgram: guardian, log: silentLog, signal: AbortSignal.timeout(60_000) },
    openVault(join(work, 'kept')).store,
  );
  await kept.published();
  const clones = join(dirname(data.dbPath), '.tidemark-clones');
  const before = readdirSync(clones);
  const options: CopyingOptions = { address: member.address, host: member, dbPath: member.dbPath, workDirectory: state, method: 'clone', guardianProgram: guardian };
  // A copy in the same work directory would drop the kept clone, which is not its `previous`.
  const other = join(work, 'other');
  const child = spawn(process.execPath, [new URL('../kit/copying-process.ts', import.meta.url).pathname, JSON.stringify({ ...options, workDirectory: other })], { stdio: ['ignore', 'pipe', 'ignore'] });
  const closed = new Promise((resolve) => child.once('close', resolve));
  await withDeadline('the clone', 60_000, async () => await new Promise((resolve) => createInterface({ input: child.stdout }).on('line', (line) => line === 'final' && resolve(undefined))));
  assert.deepEqual(await undoLeftovers({ client, workDirectory: other, log: silentLog }), [], 'a living maker is left alone');
  child.kill('SIGKILL');
  await closed;
  assert.equal(readdirSync(clones).length, before.length + 1);
  const undone = await undoLeftovers({ client, workDirectory: other, log: silentLog });
  assert.equal(undone.length, 1);
  assert.deepEqual(readdirSync(clones), before);
  assert.deepEqual(await dropDeadClones(state), []);
  assert.equal((await listRecords(state)).length, 1);
  await kept.forget();
  assert.ok(!existsSync(clones));
});
