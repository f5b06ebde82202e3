import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Long, Timestamp, type Document, type MongoClient } from 'mongodb';
import { systemClock } from '../../base/clock.ts';
import { isStill, settle } from './turtle.ts';

const options = { clock: systemClock, signal: new AbortController().signal };

/** A mongod reduced to what is asked of it here; `during` runs before each answer. */
function fake(running: () => number, checkpoint: () => number, during: (command: string) => void = () => {}): MongoClient {
  const optime = { ts: new Timestamp({ t: 50, i: 1 }), t: Long.fromNumber(1) };
  const command = async (asked: Document): Promise<Document> => {
    const name = Object.keys(asked)[0]!;
    during(name);
    if (name === 'serverStatus') return { wiredTiger: { transaction: { 'transaction checkpoint currently running': running() } } };
    return { lastStableRecoveryTimestamp: new Timestamp({ t: checkpoint(), i: 0 }), optimes: { appliedOpTime: optime, durableOpTime: optime } };
  };
  return { db: () => ({ command }) } as unknown as MongoClient;
}

async function inDirectory(work: (dbPath: string, write: (text: string) => void) => Promise<void>): Promise<void> {
  const dbPath = mkdtempSync(join(tmpdir(), 'tm-copy-turtle-'));
  try {
    await work(dbPath, (text) => writeFileSync(join(dbPath, 'WiredTiger.turtle'), text));
  } finally {
    rmSync(dbPath, { recursive: true });
  }
}

test('C is not taken while a checkpoint runs, when it may still be that of the last one', async () => {
  await inDirectory(async (dbPath, write) => {
    write('B');
    let asked = 0;
    const client = fake(() => (++asked < 4 ? 1 : 0), () => (asked < 4 ? 10 : 20));
    const settled = await settle(client, dbPath, 'm', options);
    assert.deepEqual(settled?.checkpoint, { t: 20, i: 0 });
    assert.deepEqual(settled?.durable, { t: 50, i: 1, term: 1 });
  });
});

test('a turtle that moves while C is read is looked at again', async () => {
  await inDirectory(async (dbPath, write) => {
    write('A');
    let moved = false;
    const client = fake(() => 0, () => (moved ? 20 : 10), (command) => {
      if (command !== 'replSetGetStatus' || moved) return;
      write('B');
      queueMicrotask(() => (moved = true));
    });
    const settled = await settle(client, dbPath, 'm', options);
    assert.equal(settled?.turtle.bytes.toString(), 'B');
    assert.deepEqual(settled?.checkpoint, { t: 20, i: 0 });
  });
});

test('a copy is not good when the turtle moved, nor when a checkpoint runs at its end with the turtle unmoved', async () => {
  await inDirectory(async (dbPath, write) => {
    write('A');
    const settled = await settle(fake(() => 0, () => 10), dbPath, 'm', options);
    assert.ok(settled !== undefined);
    assert.equal(await isStill(settled, fake(() => 0, () => 10), dbPath, options), true);
    assert.equal(await isStill(settled, fake(() => 1, () => 10), dbPath, options), false);
    write('B');
    assert.equal(await isStill(settled, fake(() => 0, () => 10), dbPath, options), false);
  });
});
