/** Runs in Windows' Node: the promises of a storage in the folders that are named, and what only a folder of Windows has to keep. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { moveOver, nameNew, syncFolder } from '../../src/base/durable-names.ts';
import { openCompressor, openDecompressor, openGcm, tryLockFile } from '../../src/base/native.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { storageConformance } from '../conformance/storage.ts';

const places = process.argv.slice(2);

function makePlace(t: TestContext, below: string): string {
  const path = mkdtempSync(join(below, 'repository-'));
  t.after(() => rmSync(path, { recursive: true, maxRetries: 5 }));
  return path;
}

for (const below of places) {
  mkdirSync(below, { recursive: true });
  storageConformance(below, async (t) => {
    const path = makePlace(t, below);
    return { storage: await openDirectory(path), again: async () => await openDirectory(path) };
  });

  test(`${below}: objects that are called like devices have other names on disk, and their own in lists`, async (t) => {
    const path = makePlace(t, below);
    const storage = await openDirectory(path);
    const names = ['con', 'aux/lpt1.pack', 'a/nul.', 'com9.x/prn'];
    for (const name of names) await storage.put(name, Buffer.from(name), 'new');
    for (const name of names) assert.equal(Buffer.from(await storage.read(name)).toString(), name);
    const listed: string[] = [];
    for await (const { name } of storage.list('')) listed.push(name);
    assert.deepEqual(listed.sort(), [...names].sort());
    const onDisk = readdirSync(path, { recursive: true, encoding: 'utf8' }).flatMap((file) => file.split('\\'));
    assert.deepEqual(onDisk.filter((name) => /^(con|aux|nul|prn|lpt1|com9)(\.|$)/.test(name) || name.endsWith('.')), []);
  });

  test(`${below}: paths far longer than 260 characters are paths`, async (t) => {
    const deep = join(makePlace(t, below), ...Array.from({ length: 8 }, (_, at) => `${at}`.repeat(60)));
    const storage = await openDirectory(deep, { create: true });
    assert.equal(await storage.put('a/b', Buffer.from('x'), 'new'), 'stored');
    assert.equal(await storage.put('a/b', Buffer.from('y'), 'new'), 'exists');
    assert.equal(await storage.put('a/b', Buffer.from('z'), 'replace'), 'stored');
    assert.equal(Buffer.from(await storage.read('a/b')).toString(), 'z');
  });

  test(`${below}: a name is replaced once whoever holds the file lets go of it`, async (t) => {
    const path = makePlace(t, below);
    const [from, to] = [join(path, 'new'), join(path, 'old')];
    for (const file of [from, to]) writeFileSync(file, file);
    const held = openSync(to, 'r');
    const moved = moveOver(from, to);
    await Promise.race([wait(200), moved]);
    closeSync(held);
    await moved;
    assert.deepEqual(readdirSync(path), ['old']);
    assert.equal(await nameNew(to, join(path, 'OLD')), 'stored', 'a name in other letters is the same name: the move is one to itself');
    await syncFolder(path);
  });

  test(`${below}: of two locks of a file one is had, until it is closed`, (t) => {
    const file = join(makePlace(t, below), 'file');
    writeFileSync(file, 'text');
    const [one, other] = [openSync(file, 'r'), openSync(file, 'r')];
    assert.equal(tryLockFile(one), true);
    assert.equal(tryLockFile(other), false);
    closeSync(one);
    assert.equal(tryLockFile(other), true);
    closeSync(other);
  });
}

test('a path that Windows would take for something else is no place for a repository', async () => {
  for (const path of ['C:\\data\\aux', 'C:\\data\\a:b', 'C:data', '/data', 'C:\\data\\x.']) await assert.rejects(openDirectory(path, { create: true }), { code: 'repository.path-refused' }, path);
});

test('what is compressed and sealed here opens here; chunk ids come out of the addon', async () => {
  const plain = Buffer.concat([Buffer.alloc(60_000, 'tide'), randomBytes(5_000)]);
  const [packed, back] = [Buffer.alloc(80_000), Buffer.alloc(plain.length)];
  const size = openCompressor(3)(plain, packed);
  assert.ok(size > 5_000 && size < 10_000, String(size));
  assert.equal(openDecompressor()(packed.subarray(0, size), back), plain.length);
  assert.ok(back.equals(plain));
  assert.equal(openCompressor(1)(plain, Buffer.alloc(10)), -1);
  assert.equal(openDecompressor()(packed.subarray(0, size), Buffer.alloc(100)), -1);
  const cipher = openGcm();
  const sealed = Buffer.alloc(plain.length + 16);
  cipher.seal(Buffer.alloc(32, 1), Buffer.alloc(12), plain, sealed);
  assert.ok(cipher.open(Buffer.alloc(32, 1), Buffer.alloc(12), sealed, back));
  const { blake3 } = (await import('@napi-rs/blake-hash')) as unknown as { blake3(bytes: Uint8Array): Buffer };
  assert.equal(Buffer.from(blake3(Buffer.from(''))).toString('hex'), 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262');
});
