/** Locks that outlive those who took them: whoever is killed, and whenever, the member is free again. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log.ts';
import { openClient } from '../../src/mongo/connect.ts';
import { listMarkers, writeMarker } from '../../src/mongo/copy/lock-marker.ts';
import { probeCopy, takeCopy, type StoreFiles } from '../../src/mongo/copy/ladder.ts';
import { membersWithMarkers, undoLeftovers } from '../../src/mongo/copy/leftovers.ts';
import type { CopyingOptions } from '../kit/copying-process.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from '../kit/replica-set.ts';

const path = (name: string): string => new URL(name, import.meta.url).pathname;

let base: string;
let work: string;
let set: ReplicaSet;
let member: SetMember;
let client: MongoClient;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'tm-lock-'));
  // Votes without priority: a locked member must not be elected, and the other two are enough for that.
  set = await openReplicaSet({ members: 3, auth: true, oplogSizeMb: 64, memberConfig: [{}, { priority: 0 }, { priority: 0 }] });
  member = set.members[1]!;
  client = await member.client();
  await using writer = await set.client();
  await writer.db('lock').collection('some').insertMany(Array.from({ length: 2000 }, (_, n) => ({ n, pad: 'x'.repeat(500) })));
});

after(async () => {
  await client?.close();
  await set?.stop();
  rmSync(base, { recursive: true, force: true });
});

beforeEach(() => {
  work = mkdtempSync(join(base, 'work-'));
});

/** A test that failed half-way must not cost the next one its member. */
afterEach(async () => {
  for (const pid of workers()) process.kill(pid, 'SIGKILL');
  while (client !== undefined && (await isLocked())) await client.db('admin').command({ fsyncUnlock: 1 });
});

/** The tag makes this test's guardians known among those of other tests. */
function guardianProgram(): string[] {
  return [process.execPath, path('../../src/main/guardian.ts'), work];
}

/** Everything that works in `work`: movers, guardians, and what is about to become one of them. */
function workers(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => pid !== process.pid && commandLine(pid).some((word) => word.includes(work)));
}

function guardians(): number[] {
  return workers().filter((pid) => commandLine(pid).some((word) => word.endsWith('/guardian.ts')) && commandLine(pid).includes(work));
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

async function isLocked(): Promise<boolean> {
  return (await client.db('admin').command({ currentOp: 1 }))['fsyncLock'] === true;
}

type Copying = { child: ChildProcess; line(wanted: string): Promise<string>; guardian(): Promise<unknown>; ended: Promise<void> };

function startCopying(lockMs?: number): Copying {
  const options: CopyingOptions = { address: member.address, host: member, dbPath: member.dbPath, workDirectory: work, method: 'lock', lockMs, guardianProgram: guardianProgram() };
  const child = spawn(process.execPath, [path('../kit/copying-process.ts'), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const logged: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  createInterface({ input: child.stderr! }).on('line', (line) => logged.push(line));
  let isOver = false;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve())).then(() => void (isOver = true));
  /** A copy that ended will not come to what is waited for: what it said is the reason. */
  const reach = async <T>(what: string, look: () => T | undefined): Promise<T> => {
    const seen = await until(what, 60_000, () => look() ?? (isOver ? null : undefined), { everyMs: 5 }).catch((error: unknown) => assert.fail(`${String(error)}: ${[...lines, ...logged].join('; ')}`));
    return seen ?? assert.fail(`the copy ended before ${what}: ${[...lines, ...logged].join('; ')}`);
  };
  return {
    child,
    ended,
    line: async (wanted) => await reach(`the line "${wanted}"`, () => lines.find((line) => line.startsWith(wanted))),
    guardian: async () => await reach('a guardian', () => guardians()[0]),
  };
}

async function assertFree(within = 30_000): Promise<void> {
  await until('every mover and guardian to end', within, () => (workers().length === 0 ? true : undefined));
  assert.equal(await isLocked(), false, 'the member is free');
  assert.deepEqual(await listMarkers(work), [], 'no marker is left');
}

async function copyHere(store: StoreFiles, more: { lockMs?: number } = {}): Promise<unknown> {
  const signal = AbortSignal.timeout(120_000);
  return await takeCopy(
    { client, address: member.address, local: { dbPath: member.dbPath }, workDirectory: work, method: 'lock', keepClone: false, guardianProgram: guardianProgram(), log: silentLog, signal, ...more },
    store,
  );
}

test('a mover killed at any moment leaves no lock: its guardian undoes it alone', async (t) => {
  const seed = Number(process.env['TIDEMARK_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  let lockedWhenKilled = 0;
  for (let round = 0; round < 6; round++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const { child, line, guardian, ended } = startCopying();
    // Odd rounds aim at the moments around the lock, even ones at any.
    if (round % 2 === 1) await guardian();
    if (round === 5) await line('final');
    else await pause(state % (round % 2 === 1 ? 400 : 1_500));
    child.kill('SIGKILL');
    if ((await listMarkers(work)).length > 0) lockedWhenKilled += 1;
    await ended;
    await assertFree();
  }
  assert.ok(lockedWhenKilled >= 1, 'at least one was killed with a lock held or asked for');
});

test('a mover and its guardian killed together leave a lock that the next start undoes', async () => {
  const { child, line, ended } = startCopying();
  await line('final');
  child.kill('SIGKILL');
  for (const pid of guardians()) process.kill(pid, 'SIGKILL');
  await ended;
  await until('both to end', 10_000, () => (workers().length === 0 ? true : undefined));
  if (await isLocked()) {
    assert.deepEqual(await until('the marker of a dead guardian', 10_000, async () => await membersWithMarkers(work).then((names) => (names.length > 0 ? names : undefined))), [member.name]);
    const undone = await undoLeftovers({ client, workDirectory: work, log: silentLog });
    assert.match(undone[0] ?? '', /undid a lock that a killed backup left/);
  }
  assert.equal(await isLocked(), false);
  assert.deepEqual(await undoLeftovers({ client, workDirectory: work, log: silentLog }), []);
});

test('a killed guardian costs the copy, and the mover undoes the lock', async () => {
  const { line, ended } = startCopying();
  await line('final');
  assert.equal(await isLocked(), true);
  for (const pid of guardians()) process.kill(pid, 'SIGKILL');
  const said = await line('failed');
  assert.match(said, /the guardian of the lock on .* ended with SIGKILL/);
  await ended;
  await assertFree();
});

test('a lock is given back at its deadline, and the copy fails with the reason', async () => {
  const startedAt = performance.now();
  await assert.rejects(
    copyHere(async (_, pass, signal) => {
      if (pass === 'final') await withDeadline('the abort', 20_000, async () => await new Promise((resolve) => signal.addEventListener('abort', resolve)));
    }, { lockMs: 1_000 }),
    { code: 'mongo.copy-not-possible', message: /its deadline of 1 s passed/ },
  );
  assert.ok(performance.now() - startedAt < 30_000);
  await assertFree(1_000);
});

test('somebody else who undoes our lock costs the copy', async () => {
  await assert.rejects(
    copyHere(async (_, pass) => {
      if (pass === 'final') await client.db('admin').command({ fsyncUnlock: 1 });
    }),
    { code: 'mongo.copy-not-possible', message: /somebody else undid it/ },
  );
  await assertFree(1_000);
});

test('a user who may not lock is told what is missing and how to grant it, and nothing is locked', async () => {
  await using writer = await set.client();
  await writer.db('admin').command({ createUser: 'watcher', pwd: 'watcher', roles: ['clusterMonitor'] });
  const credential = { kind: 'scram', user: 'watcher', password: 'watcher' } as const;
  await using watcher = await until('the new user on the secondary', 30_000, async () => await openClient({ hosts: [member], credential }, { member }).catch(() => undefined));
  const local = { dbPath: member.dbPath };
  const { ways } = await probeCopy({ client: watcher, local, workDirectory: work });
  const lock = ways.find(({ method }) => method === 'lock');
  assert.equal(lock?.possible, false);
  assert.match(lock.why, /watcher lacks fsync, unlock .*grantRolesToUser/);
  assert.equal(await isLocked(), false);
});

test("somebody else's lock is neither joined nor undone", async () => {
  const admin = client.db('admin');
  await admin.command({ fsync: 1, lock: true });
  try {
    await assert.rejects(copyHere(async () => {}), { code: 'mongo.copy-not-possible', message: /somebody else holds a lock/ });
    const mongod = Number((await admin.command({ serverStatus: 1 }))['pid']);
    // A lock of ours that is long gone: held by another operation of the same mongod.
    await writeMarker(join(work, 'locks', 'old.json'), { member: member.name, mongod, stage: 'held', after: 1, worker: 2 });
    await makeGuardianDead(join(work, 'locks', 'old.json'));
    assert.deepEqual(await undoLeftovers({ client, workDirectory: work, log: silentLog }), []);
    assert.deepEqual(await listMarkers(work), []);
    assert.equal(await isLocked(), true, 'the lock is as it was');
  } finally {
    await admin.command({ fsyncUnlock: 1 });
  }
  assert.equal(await isLocked(), false);
});

async function makeGuardianDead(file: string): Promise<void> {
  const { writeFile, readFile } = await import('node:fs/promises');
  const marker = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...marker, guardian: { pid: 1, startTime: 'long ago' } }));
}
