import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { frameDamaged, sweepRunning } from '../../src/repository/failures.ts';
import { noise, openScene, openTestArchive, setId, type Scene } from '../kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';

const contents = { a: noise(1_300_000, 5), b: Buffer.alloc(200_000, 'some text that compresses') };
const isOf = (kind: string) => (name: string) => name.startsWith(`sets/${setId}/${kind}/`);
const namesOf = (storage: MemoryStorage, kind: string): string[] => [...storage.objects.keys()].filter(isOf(kind));

function flip(storage: MemoryStorage, name: string, share: number): void {
  const { bytes } = storage.objects.get(name)!;
  bytes[Math.floor(share * (bytes.length - 1))]! ^= 1;
}

async function makePoint(t: TestContext): Promise<{ scene: Scene; storage: MemoryStorage }> {
  const scene = await openScene(t);
  const storage = memoryStorage();
  await scene.store(await openTestArchive(storage), 'p1', contents);
  return { scene, storage };
}

const check = async (storage: MemoryStorage) => await (await openTestArchive(storage)).check({ readDataPercent: 100, workers: 0 });

test('after a check found a flipped bit, the next backup stores what is damaged again, and every point is whole', async (t) => {
  const { scene, storage } = await makePoint(t);
  for (const name of namesOf(storage, 'packs')) {
    for (const share of [0, 0.2, 0.5, 0.8, 1]) {
      const copy = storage.copy();
      flip(copy, name, share);
      assert.equal((await check(copy)).ok, false);
      // The base is the hurt point itself: what did not change is taken over from it where it can be.
      await scene.store(await openTestArchive(copy), 'p2', contents);
      assert.deepEqual((await check(copy)).hurtPoints, [], `${name} at ${share}`);
      for (const id of ['p1', 'p2']) await scene.requireExact(await openTestArchive(copy), id, contents);
    }
  }
});

test('a chunk that is in two places is read from the sound one, whichever it is', async (t) => {
  const { scene, storage } = await makePoint(t);
  const before = namesOf(storage, 'packs');
  const [first] = before;
  flip(storage, first!, 0.5);
  await check(storage);
  await scene.store(await openTestArchive(storage), 'p2', contents);
  const fresh = namesOf(storage, 'packs').filter((name) => !before.includes(name));
  const other = storage.copy();
  flip(other, first!, 0.5);
  for (const name of fresh) for (const share of [0.3, 0.6]) flip(other, name, share);
  for (const id of ['p1', 'p2']) await scene.requireExact(await openTestArchive(other), id, contents);
});

test('a chunk whose every place is damaged is refused by name, and read again when the disk is well', async (t) => {
  const { storage } = await makePoint(t);
  const archive = await openTestArchive(storage);
  const reader = await archive.openReader({ workers: 0, cacheBytes: 0 });
  const file = await reader.openFile((await archive.point('p1')).files[0]!);
  const [name] = namesOf(storage, 'packs');
  flip(storage, name!, 0.2);
  const read = async (): Promise<Buffer> => Buffer.from(await file.read(0, contents.a.length));
  await assert.rejects(read(), (error) => isFailure(error, frameDamaged) && /next backup stores again/.test(error.hint));
  flip(storage, name!, 0.2);
  assert.ok(contents.a.equals(await read()));
  await reader.close();
});

test('a sweep keeps the sound place of a chunk, deletes the damaged pack once nobody needs it, and forgets it', async (t) => {
  const { scene, storage } = await makePoint(t);
  const packs = namesOf(storage, 'packs').slice(0, 1);
  flip(storage, packs[0]!, 0.4);
  await check(storage);
  await (await openTestArchive(storage)).sweep();
  assert.deepEqual(namesOf(storage, 'packs').filter((name) => packs.includes(name)), packs, 'a point still needs them');
  await scene.store(await openTestArchive(storage), 'p2', contents);
  await (await openTestArchive(storage)).sweep();
  assert.deepEqual(namesOf(storage, 'packs').filter((name) => packs.includes(name)), []);
  assert.deepEqual(namesOf(storage, 'distrusted'), []);
  assert.equal((await check(storage)).ok, true);
  for (const id of ['p1', 'p2']) await scene.requireExact(await openTestArchive(storage), id, contents);
});

test('a second check says nothing twice, and a record of it that is damaged is told and made again', async (t) => {
  const { storage } = await makePoint(t);
  flip(storage, namesOf(storage, 'packs')[0]!, 0.5);
  for (let time = 0; time < 2; time++) await check(storage);
  const [record, ...more] = namesOf(storage, 'distrusted');
  assert.deepEqual(more, []);
  flip(storage, record!, 0.5);
  assert.ok((await check(storage)).damage.some(({ object }) => object === record));
  assert.equal(namesOf(storage, 'distrusted').length, 2);
});

test('a retirement that cannot be read stops no backup, unless a sweep that knows it is running; the next sweep forgets it', async (t) => {
  const { scene, storage } = await makePoint(t);
  const name = `sets/${setId}/retired/0193aa`;
  storage.objects.set(name, { bytes: new Uint8Array(30), modifiedMs: Date.now() });
  await scene.store(await openTestArchive(storage), 'p2', contents);
  const swept = storage.copy();
  storage.objects.set(`sets/${setId}/leases/sweep-0193ab`, { bytes: new Uint8Array(30), modifiedMs: Date.now() });
  await assert.rejects(scene.store(await openTestArchive(storage), 'p3', contents), (error) => isFailure(error, sweepRunning));
  await (await openTestArchive(swept)).sweep();
  assert.deepEqual(namesOf(swept, 'retired'), []);
});
