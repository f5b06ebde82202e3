import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { placeMissing } from '../../src/repository/failures.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { memoryStorage } from '../kit/memory-storage.ts';
import { lockConformance, type LockedPlace } from './lock.ts';
import { storageConformance } from './storage.ts';

async function makePlace(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tm-repository-'));
  t.after(async () => await rm(path, { recursive: true }));
  return path;
}

storageConformance('a directory', async (t) => {
  const path = await makePlace(t);
  return { storage: await openDirectory(path), again: async () => await openDirectory(path) };
  // Each is synced to the disk, and the seconds are for that.
}, { many: 1_500 });

storageConformance('memory', async () => {
  const storage = memoryStorage();
  return { storage, again: async () => storage };
}, { many: 100_000 });

lockConformance(
  'memory',
  async () => {
    let turnedMs = 0;
    const storage = memoryStorage(() => Date.now() + turnedMs, { days: 30, mode: null }) as LockedPlace['storage'];
    return {
      storage,
      again: async () => storage,
      attack: async (name) => await assert.rejects(storage.delete(name)),
      passDays: async (days) => void (turnedMs += days * 86_400_000),
      as: async (work) => await work(),
    };
  },
  { skip: false, isTurned: true },
);

test('a directory that is not there is refused, and made only when asked for', async (t) => {
  const path = join(await makePlace(t), 'deep', 'down');
  await assert.rejects(openDirectory(path), (error) => isFailure(error, placeMissing));
  await openDirectory(path, { create: true });
  await openDirectory(path);
});

test('what a killed writer left half written is removed by the next one that writes once it is old, and never what is being written, nor by who only reads', async (t) => {
  const path = await makePlace(t);
  const storage = await openDirectory(path);
  const live = await storage.create('live');
  const left = await readdir(join(path, '.tmp'));
  const dead = join(path, '.tmp', 'dead');
  await writeFile(dead, 'half');
  const old = new Date(Date.now() - 3_600_000);
  for (const name of [...left, 'dead']) await utimes(join(path, '.tmp', name), old, old);
  const next = await openDirectory(path);
  assert.deepEqual((await readdir(join(path, '.tmp'))).sort(), [...left, 'dead'].sort());
  await next.put('another', Buffer.from('text'), 'new');
  assert.deepEqual(await readdir(join(path, '.tmp')), left);
  await live.append(Buffer.from('whole'));
  await live.commit();
  assert.equal(Buffer.from(await storage.read('live')).toString(), 'whole');
});

test('opening a directory and reading from it writes nothing into it', async (t) => {
  const path = await makePlace(t);
  await writeFile(join(path, 'one'), 'text');
  await chmod(path, 0o500);
  try {
    const storage = await openDirectory(path);
    assert.equal(Buffer.from(await storage.read('one')).toString(), 'text');
    assert.deepEqual(await readdir(path), ['one']);
  } finally {
    await chmod(path, 0o700);
  }
});
