import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { keyWrong, objectDamaged, passphraseWrong, repositoryExists, repositoryMissing } from '../../src/repository/failures.ts';
import { createRepository, listArchives, makeArchive, openRepository } from '../../src/repository/repository.ts';
import { noise, openScene, openTestArchive, setId, type Scene } from '../kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';

const KiB = 1 << 10;
const contents = {
  p1: { a: noise(1300 * KiB, 1), b: Buffer.alloc(200 * KiB, 'some text that compresses') },
  p2: { a: Buffer.concat([noise(70 * KiB, 2), noise(1300 * KiB, 1).subarray(70 * KiB)]), c: noise(600 * KiB, 3) },
};
type PointId = keyof typeof contents;
const points: PointId[] = ['p1', 'p2'];

/** Two points, of which the second refers to frames of the first. */
async function makeArchiveToHurt(t: TestContext): Promise<{ scene: Scene; storage: MemoryStorage }> {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  for (const id of points) await scene.store(archive, id, contents[id]);
  return { scene, storage };
}

/** Which points cannot be brought back. Bytes that come back wrong fail the test at once. */
async function hurtPoints(scene: Scene, storage: MemoryStorage): Promise<PointId[]> {
  const hurt: PointId[] = [];
  const archive = await openTestArchive(storage);
  for (const id of points) {
    try {
      await scene.requireExact(archive, id, contents[id]);
    } catch (error) {
      if (!isFailure(error) && !(error instanceof assert.AssertionError && /missingChunks|deepStrictEqual|\[\]/.test(String(error.message)) && !/other bytes/.test(error.message))) throw error;
      hurt.push(id);
    }
  }
  return hurt;
}

const isOf = (kind: string) => (name: string) => name.startsWith(`sets/${setId}/${kind}/`);
const flips = [0, 9, 30, 0.3, 0.6, 0.9, -21, -1];

function flip(storage: MemoryStorage, name: string, where: number): void {
  const { bytes } = storage.objects.get(name)!;
  const at = where < 0 ? bytes.length + where : where < 1 ? Math.floor(where * bytes.length) : where;
  bytes[Math.max(0, Math.min(at, bytes.length - 1))]! ^= 0x10;
}

async function requireSound(scene: Scene, storage: MemoryStorage, what: string, expect: { damage: boolean }): Promise<PointId[]> {
  const hurt = await hurtPoints(scene, storage);
  const report = await (await openTestArchive(storage)).check({ readDataPercent: 100, workers: 0 });
  assert.deepEqual(report.hurtPoints, hurt, `${what}: check names the points that are hurt`);
  assert.equal(report.ok, !expect.damage, `${what}: ${JSON.stringify(report.damage)}`);
  assert.equal(report.ok, report.damage.length === 0);
  return hurt;
}

test('the slices of a re-read are all objects, each of them once, and whichever holds a damaged pack finds it', async (t) => {
  const { scene, storage } = await makeArchiveToHurt(t);
  const of = 5;
  const parts = Array.from({ length: of }, (_, part) => part);
  const whole = await (await openTestArchive(storage)).check({ readDataPercent: 100, workers: 0 });
  const structure = await (await openTestArchive(storage)).check({ readDataPercent: 0, workers: 0 });
  let read = 0;
  for (const part of parts) read += (await (await openTestArchive(storage)).check({ readDataPercent: 0, slice: { of, parts: [part] }, workers: 0 })).readBytes - structure.readBytes;
  assert.equal(read, whole.readBytes - structure.readBytes);
  for (const name of [...storage.objects.keys()].filter(isOf('packs'))) {
    const copy = storage.copy();
    flip(copy, name, 0.3);
    const wanted = await hurtPoints(scene, copy);
    const found = [];
    for (const part of parts) {
      const report = await (await openTestArchive(copy.copy())).check({ readDataPercent: 0, slice: { of, parts: [part] }, workers: 0 });
      if (!report.ok) found.push(report.hurtPoints);
    }
    assert.deepEqual(found, [wanted], name);
  }
});

for (const kind of ['packs', 'points']) {
  test(`a flipped bit anywhere in ${kind} is found, hands out no wrong byte, and the check names who is hurt`, async (t) => {
    const { scene, storage } = await makeArchiveToHurt(t);
    let hurtSomebody = 0;
    for (const name of [...storage.objects.keys()].filter(isOf(kind))) {
      for (const where of flips) {
        const copy = storage.copy();
        flip(copy, name, where);
        hurtSomebody += (await requireSound(scene, copy, `${name} at ${where}`, { damage: true })).length;
      }
    }
    assert.ok(hurtSomebody > 0);
  });

  test(`${kind} that are cut, missing or in each other's place are found, and the check names who is hurt`, async (t) => {
    const { scene, storage } = await makeArchiveToHurt(t);
    const names = [...storage.objects.keys()].filter(isOf(kind));
    for (const [index, name] of names.entries()) {
      const cut = storage.copy();
      cut.objects.get(name)!.bytes = cut.objects.get(name)!.bytes.slice(0, -3);
      assert.ok((await requireSound(scene, cut, `${name} cut`, { damage: true })).length > 0 || kind === 'packs');
      const empty = storage.copy();
      empty.objects.get(name)!.bytes = new Uint8Array(0);
      await requireSound(scene, empty, `${name} empty`, { damage: true });
      const other = names[(index + 1) % names.length]!;
      const swapped = storage.copy();
      swapped.objects.set(name, storage.objects.get(other)!);
      swapped.objects.set(other, storage.objects.get(name)!);
      if (other !== name) assert.ok((await requireSound(scene, swapped, `${name} swapped`, { damage: true })).length > 0);
      if (kind === 'points') continue;
      const gone = storage.copy();
      gone.objects.delete(name);
      assert.ok((await requireSound(scene, gone, `${name} missing`, { damage: true })).length > 0);
    }
  });
}

test('an index that is damaged, cut, missing or stale hurts no point, and the next backup makes it whole', async (t) => {
  const { scene, storage } = await makeArchiveToHurt(t);
  const names = [...storage.objects.keys()].filter(isOf('index'));
  assert.equal(names.length, 2);
  const hurts: ((copy: MemoryStorage) => void)[] = [
    ...names.flatMap((name) => flips.map((where) => (copy: MemoryStorage) => flip(copy, name, where))),
    ...names.map((name) => (copy: MemoryStorage) => void (copy.objects.get(name)!.bytes = copy.objects.get(name)!.bytes.slice(0, -3))),
    ...names.map((name) => (copy: MemoryStorage) => void copy.objects.delete(name)),
    (copy) => names.forEach((name) => copy.objects.delete(name)),
    (copy) => {
      const [one, two] = names.map((name) => copy.objects.get(name)!);
      copy.objects.set(names[0]!, two!);
      copy.objects.set(names[1]!, one!);
    },
  ];
  for (const [number, hurt] of hurts.entries()) {
    const copy = storage.copy();
    hurt(copy);
    assert.deepEqual(await hurtPoints(scene, copy), [], `hurt ${number}`);
    assert.deepEqual((await (await openTestArchive(copy)).check({ readDataPercent: 0, workers: 0 })).hurtPoints, []);
    const again = await scene.store(await openTestArchive(copy), 'p3', contents.p2);
    assert.equal(again.counts.transferred, 0, `hurt ${number}: what the packs hold is known again`);
    await scene.requireExact(await openTestArchive(copy), 'p3', contents.p2);
  }
});

test('a damaged pack that a backup would build on does not spoil the new point', async (t) => {
  const { scene, storage } = await makeArchiveToHurt(t);
  for (const name of [...storage.objects.keys()].filter(isOf('packs'))) {
    const copy = storage.copy();
    copy.objects.delete(name);
    await scene.store(await openTestArchive(copy), 'p3', contents.p1);
    await scene.requireExact(await openTestArchive(copy), 'p3', contents.p1);
  }
});

test('the check finds flipped bits in every kind of oplog object, and names the span', async () => {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const at = (t: number) => ({ t, i: 1, term: 1 });
  const chain = await archive.oplog.startChain({ why: 'first', after: at(100), previous: null });
  const writer = await archive.oplog.openChainWriter(chain, 'n1');
  for (const t of [110, 120, 130]) {
    writer.append({ first: at(t), last: at(t), count: 1, bytes: noise(500, t) });
    await writer.flush();
  }
  await writer.close();
  await archive.oplog.addBarrier(chain, at(120), 'something');
  const sound = await archive.check({ readDataPercent: 100, workers: 0 });
  assert.deepEqual([sound.ok, sound.hurtOplog], [true, []]);
  for (const name of [...storage.objects.keys()].filter((one) => isOf('oplog')(one) || isOf('chains')(one))) {
    for (const where of flips) {
      const copy = storage.copy();
      flip(copy, name, where);
      const report = await (await openTestArchive(copy)).check({ readDataPercent: 100, workers: 0 });
      assert.equal(report.ok, false, `${name} at ${where}`);
      assert.equal(report.hurtOplog.length > 0, !name.includes('/barriers/'), name);
    }
  }
  const slices = [...storage.objects.keys()].filter((name) => name.includes('/slices/')).sort();
  const gap = storage.copy();
  gap.objects.delete(slices[1]!);
  assert.deepEqual((await (await openTestArchive(gap)).check({ readDataPercent: 0, workers: 0 })).hurtOplog, [{ after: { t: 110, i: 1 }, through: { t: 120, i: 1 } }]);
});

test('the passphrase opens a repository with either copy of its descriptor, and nothing else does', async () => {
  const storage = memoryStorage();
  await assert.rejects(openRepository(storage, 'tide'), (error) => isFailure(error, repositoryMissing));
  const { id, key } = await createRepository(storage, 'tide');
  await makeArchive(storage, key, setId, 'rs0');
  await assert.rejects(createRepository(storage, 'tide'), (error) => isFailure(error, repositoryExists));
  const opened = await openRepository(storage, 'tide');
  assert.deepEqual([opened.id, Buffer.from(opened.key).equals(key)], [id, true]);
  assert.deepEqual((await listArchives(storage, opened.key)).map(({ setId: one, setName }) => [one, setName]), [[setId, 'rs0']]);
  await assert.rejects(openRepository(storage, 'ebb'), (error) => isFailure(error, passphraseWrong));
  const hurts = [(copy: MemoryStorage) => void copy.objects.delete('tidemark.json'), (copy: MemoryStorage) => flip(copy, 'tidemark.json', 0), (copy: MemoryStorage) => flip(copy, 'tidemark-copy.json', 0.5)];
  for (const hurt of hurts) {
    const copy = storage.copy();
    hurt(copy);
    assert.equal((await openRepository(copy, 'tide')).id, id);
  }
  for (const name of ['tidemark.json', 'tidemark-copy.json']) flip(storage, name, 0);
  await assert.rejects(openRepository(storage, 'tide'), (error) => isFailure(error, objectDamaged));
  assert.ok([...storage.objects.keys()].every((name) => !name.includes('rs0')));
});

test('the key of one archive does not open another, and a damaged "about" is refused', async () => {
  const storage = memoryStorage();
  await openTestArchive(storage);
  flip(storage, `archives/${setId}`, -1);
  await assert.rejects(openTestArchive(storage), (error) => isFailure(error, objectDamaged) || isFailure(error, keyWrong));
});

test('what a pack that was cut off had is missed at once, before any of it is read', async (t) => {
  const { scene, storage } = await makeArchiveToHurt(t);
  for (const name of [...storage.objects.keys()].filter(isOf('packs'))) {
    const whole = storage.objects.get(name)!;
    for (const length of [whole.bytes.length - 1, whole.bytes.length >> 1, 0]) {
      storage.objects.set(name, { ...whole, bytes: whole.bytes.subarray(0, length) });
      const archive = await openTestArchive(storage);
      const reader = await archive.openReader();
      const missing = await Promise.all(points.map(async (id) => (await reader.missingChunks(await archive.point(id))).length));
      await reader.close();
      assert.ok(missing.some((count) => count > 0), `${length} of ${whole.bytes.length} bytes of ${name}`);
    }
    storage.objects.set(name, whole);
  }
  assert.deepEqual(await hurtPoints(scene, storage), []);
});

test('a sweep deletes no pack whose end cannot be read, though no index knows what is in it: it may be needed, and be read again', async (t) => {
  const storage = memoryStorage();
  const scene = await openScene(t);
  const contents = { a: noise(700_000, 1), b: noise(300_000, 2) };
  await scene.store(await openTestArchive(storage), 'one', contents);
  const named = (part: string): string[] => [...storage.objects.keys()].filter((name) => name.includes(part));
  for (const name of named('/index/')) storage.objects.delete(name);
  const packs = named('/packs/');
  const turn = (): void => {
    for (const name of packs) storage.objects.get(name)!.bytes[storage.objects.get(name)!.bytes.length - 12]! ^= 1;
  };
  turn();
  await (await openTestArchive(storage)).sweep().catch(() => undefined);
  assert.deepEqual(named('/packs/').filter((name) => packs.includes(name)), packs);
  turn();
  await scene.requireExact(await openTestArchive(storage), 'one', contents);
});

test('a pack that is away while a sweep runs loses nothing by it: neither itself nor what its chunks need of other packs', async (t) => {
  const { scene, storage } = await makeArchiveToHurt(t);
  const packs = (): string[] => [...storage.objects.keys()].filter((name) => name.includes('/packs/'));
  const before = packs();
  await (await openTestArchive(storage)).deletePoint('p1');
  for (const away of before) {
    const bytes = storage.objects.get(away);
    if (bytes === undefined) continue;
    storage.objects.delete(away);
    await (await openTestArchive(storage)).sweep().catch(() => undefined);
    storage.objects.set(away, bytes);
  }
  await scene.requireExact(await openTestArchive(storage), 'p2', contents.p2);
});

test('whichever pack is away or damaged while a sweep joins small ones, everything is whole when it is back', { timeout: 120_000 }, async (t) => {
  const scene = await openScene(t);
  let seed = Number(process.env['SEED'] ?? process.hrtime.bigint() % 1_000_000n);
  t.diagnostic(`seed ${seed}`);
  const below = (most: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % most;
  for (let world = 0; world < 24; world++) {
    const storage = memoryStorage();
    const last = noise(1500 * KiB, world);
    for (let point = 0; point < 18; point++) {
      noise(3 * KiB, world * 100 + point).copy(last, below(1400 * KiB));
      await scene.store(await openTestArchive(storage), `p${point}`, { a: Buffer.from(last), b: noise(20 * KiB, point % 3) });
    }
    for (let gone = 0; gone < 3; gone++) await (await openTestArchive(storage)).deletePoint(`p${below(18)}`).catch(() => undefined);
    for (let round = 0; round < 6; round++) {
      const packs = [...storage.objects.keys()].filter((name) => name.includes('/packs/'));
      const name = packs[below(packs.length)]!;
      const pack = storage.objects.get(name)!;
      const [isAway, at] = [below(2) === 0, below(pack.bytes.length)];
      const strike = (isBack: boolean): void => {
        if (!isAway) pack.bytes[at]! ^= 0xff;
        else if (isBack) storage.objects.set(name, pack);
        else storage.objects.delete(name);
      };
      strike(false);
      await (await openTestArchive(storage)).sweep().catch(() => undefined);
      strike(true);
      const { damage } = await (await openTestArchive(storage)).check({ readDataPercent: 100, workers: 0 });
      assert.deepEqual(damage, [], `world ${world}, round ${round}, ${isAway ? 'away' : `byte ${at}`}`);
    }
  }
});
