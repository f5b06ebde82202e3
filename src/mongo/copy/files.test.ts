import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { belongs, listFiles, openDataDirectory } from './files.ts';

const plain = { except: new Set<string>(), underLock: false };

test('what mongod alone needs is never copied', () => {
  for (const path of ['mongod.lock', 'diagnostic.data', '_tmp', 'journal', 'mongodb-27017.sock', 'WiredTiger.turtle.set', '.tidemark-clones', 'load/.tidemark-clones', 'lost+found', '.tidemark-building', 'tidemark.before-20260501T020000', 'journal/WiredTigerPreplog.0000000002', 'journal/WiredTigerTmplog.0000000001']) {
    assert.equal(belongs(path, plain), false, path);
  }
  for (const path of ['WiredTiger', 'WiredTiger.lock', 'WiredTiger.turtle', 'WiredTiger.wt', 'WiredTigerHS.wt', '_mdb_catalog.wt', 'storage.bson', 'collection-0-1.wt', 'load/index/2-3.wt', 'journal/WiredTigerLog.0000000007', 'db_tmp/journal/1.wt']) {
    assert.equal(belongs(path, plain), true, path);
  }
});

test('WiredTiger.backup belongs to a copy under a lock and to no other', () => {
  assert.equal(belongs('WiredTiger.backup', plain), false);
  assert.equal(belongs('WiredTiger.backup', { ...plain, underLock: true }), true);
});

test("mongod's own log in dbPath is left out with what it was rotated to", () => {
  const how = { ...plain, except: new Set(['mongod.log']) };
  assert.equal(belongs('mongod.log', how), false);
  assert.equal(belongs('mongod.log.2026-11-23T10-00-00', how), false);
  assert.equal(belongs('mongod.logs', how), true);
});

test('links and mounts are walked as they appear, the journal comes last and its newest file first', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tm-copy-files-'));
  try {
    for (const directory of ['data/load', 'elsewhere/logs', 'elsewhere/big']) mkdirSync(join(root, directory), { recursive: true });
    symlinkSync(join(root, 'elsewhere/logs'), join(root, 'data/journal'));
    symlinkSync(join(root, 'elsewhere/big'), join(root, 'data/big'));
    symlinkSync(join(root, 'data'), join(root, 'link'));
    symlinkSync(join(root, 'nowhere'), join(root, 'data/dangling'));
    for (const file of ['data/WiredTiger.turtle', 'data/load/1.wt', 'elsewhere/big/2.wt', 'elsewhere/logs/WiredTigerLog.0000000001', 'elsewhere/logs/WiredTigerLog.0000000002']) writeFileSync(join(root, file), file);
    const data = await openDataDirectory({ dbPath: join(root, 'link') }, new Set());
    assert.equal(data.dbPath, join(root, 'data'));
    const paths = (await listFiles(data, { underLock: false })).map((file) => file.path);
    assert.deepEqual(paths, ['WiredTiger.turtle', 'big/2.wt', 'load/1.wt', 'journal/WiredTigerLog.0000000002', 'journal/WiredTigerLog.0000000001']);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('a directory without a turtle is no data directory', async () => {
  await assert.rejects(openDataDirectory({ dbPath: tmpdir() }, new Set()), { code: 'mongo.copy-no-data-directory' });
});
