/** SIGKILL to each part at each step of a backup and of a restore: nothing lost, nothing left behind, and the session says what happened. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { writeMarker } from '../../src/mongo/copy/lock-marker.ts';
import { freePort, openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let firstPoint: string;

before(async () => {
  set = await openReplicaSet({ members: 2 });
  client = await set.client();
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 20_000 }, (_, n) => ({ n, text: `order ${n}`.repeat(8) })));
  platform = await openPlatform();
  await platform.ok('set', 'add', set.uri);
  firstPoint = (await platform.ok('backup', 'run', 'rs0')).point;
});
after(async () => {
  await platform?.[Symbol.asyncDispose]();
  await client?.close();
  await set?.stop();
});

type Session = { id: string; state: string; steps: { name: string }[]; failure: { message: string; hint: string } | null };

const ended = new Set(['success', 'warning', 'failed', 'stopped']);

/** The server may be down at the moment of asking: that is what is being tested. */
async function look(id: string): Promise<Session | undefined> {
  const { code, json } = await platform.tidemark('session', 'show', id);
  return code === 0 ? json : undefined;
}

async function end(id: string): Promise<Session> {
  return await until(`session ${id} to end`, 180_000, async () => {
    const session = await look(id);
    return session !== undefined && ended.has(session.state) ? session : undefined;
  }, { everyMs: 300 });
}

/** Kills `part` as soon as the session has reached its step number `step`, and answers how the session ended. */
async function killAt(id: string, step: number, part: string): Promise<Session> {
  await until(`step ${step} of ${id}`, 120_000, async () => {
    const session = await look(id);
    return session !== undefined && (session.steps.length >= step || ended.has(session.state)) ? true : undefined;
  }, { everyMs: 20 });
  for (const pid of platform.pids(part)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in this instant.
    }
  }
  return await end(id);
}

function mountsOfPlatform(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(platform.dataDir));
}

async function nothingLeftBehind(): Promise<void> {
  for (const member of set.members) {
    await using direct = await member.client();
    const { fsyncLock } = await direct.db('admin').command({ currentOp: 1 });
    assert.notEqual(fsyncLock, true, `${member.name} is still locked`);
  }
  await until('mounts to be gone', 60_000, () => (mountsOfPlatform().length === 0 ? true : undefined), { everyMs: 200 });
}

async function startBackup(...flags: string[]): Promise<string> {
  return await until('the server to take a backup', 60_000, async () => {
    const { code, json } = await platform.tidemark('backup', 'run', 'rs0', '--detach', ...flags);
    return code === 0 ? (json.session as string) : undefined;
  }, { everyMs: 300 });
}

async function startRestore(...words: string[]): Promise<string> {
  return await until('the server to take a restore', 60_000, async () => {
    const { code, json } = await platform.tidemark('restore', ...words, '--detach');
    return code === 0 ? (json.session as string) : undefined;
  }, { everyMs: 300 });
}

for (const part of ['mover', 'transport', 'server'] as const) {
  test(`a ${part} killed at any step of a backup: the session ends in a true state and earlier points stay whole`, async () => {
    for (const step of [1, 2, 3, 4]) {
      await client.db('shop').collection('orders').insertOne({ step, part });
      const session = await killAt(await startBackup(), step, part);
      assert.ok(ended.has(session.state));
      if (session.state === 'failed') assert.ok(session.failure!.message.length > 10 && session.failure!.hint.length > 10);
      await nothingLeftBehind();
    }
    const again = await end(await startBackup());
    assert.equal(again.state, 'success', JSON.stringify(again.failure));
    assert.equal((await platform.tidemark('point', 'verify', firstPoint)).code, 0);
  });
}

for (const part of ['mover', 'transport', 'server'] as const) {
  test(`a ${part} killed while a collection is restored: the live one is there as it was, or whole as it is to be`, async () => {
    const collection = client.db('shop').collection('live');
    await collection.deleteMany({});
    await collection.insertOne({ version: 'live' });
    for (const step of part === 'mover' ? [2, 4, 5] : [2, 5]) {
      const id = await startRestore('collections', 'rs0', '--at', firstPoint, '--ns', 'shop.orders=shop.live', '--existing', 'replace', '--apply');
      const session = await killAt(id, step, part);
      const count = await collection.countDocuments();
      const isOld = (await collection.findOne())?.['version'] === 'live';
      assert.ok(isOld || count === 20_000, `all or nothing: ${count}`);
      if (session.state === 'success') assert.equal(count, 20_000);
      await nothingLeftBehind();
    }
  });

  test(`a ${part} killed while a set is restored: its directory is not half there, and the next restore takes it`, async () => {
    const place = mkdtempSync(join(tmpdir(), 'tm-killed-restore-'));
    try {
      for (const step of [2, 3]) {
        const target = join(place, `at-${step}`);
        const restore = ['set', 'rs0', '--at', firstPoint, '--name', 'back', '--to-dir', `${target}:${await freePort()}`, '--apply'];
        const session = await killAt(await startRestore(...restore), step, part);
        assert.equal(existsSync(join(target, 'WiredTiger')), session.state === 'success', `${session.state}: ${session.failure?.message ?? ''}`);
        await nothingLeftBehind();
        if (session.state === 'success') continue;
        assert.equal((await end(await startRestore(...restore))).state, 'success');
        assert.ok(existsSync(join(target, 'WiredTiger')));
      }
    } finally {
      rmSync(place, { recursive: true, force: true, maxRetries: 5 });
    }
  });
}

test('a lock whose mover, guardian and transport were killed together is given back when a transport is there again', async () => {
  const member = set.members[1]!;
  await using direct = await member.client();
  const admin = direct.db('admin');
  const locked = async (): Promise<boolean> => (await admin.command({ currentOp: 1 }))['fsyncLock'] === true;
  const mongod = Number((await admin.command({ serverStatus: 1 }))['pid']);
  const marker = join(platform.dataDir, 'work/kept/copies/locks/left.json');
  await writeMarker(marker, { member: member.name, mongod, stage: 'held', after: 0, worker: null });
  const written = JSON.parse(readFileSync(marker, 'utf8')) as { guardian: object };
  writeFileSync(marker, JSON.stringify({ ...written, guardian: { pid: 1, startTime: 'of a process that is gone' } }));
  await admin.command({ fsync: 1, lock: true });
  assert.equal(await locked(), true);
  for (const pid of platform.pids('transport')) process.kill(pid, 'SIGKILL');
  await until('the lock to be given back', 90_000, async () => ((await locked()) ? undefined : true), { everyMs: 200 });
  assert.ok(!existsSync(marker), 'its marker is gone');
});
