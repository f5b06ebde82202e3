/** A backup copy that dies: before and after every write, and as a process at random moments. What is there is whole, and the next run ends it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { test } from 'node:test';
import { openArchive } from '../../src/repository/archive.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { noise, openScene, setId } from '../kit/archive-scene.ts';
import { runCopy } from '../kit/copying-archive.ts';
import { faultyStorage } from '../kit/faulty-storage.ts';
import { memoryStorage } from '../kit/memory-storage.ts';
import { chanceFrom } from '../kit/seeded.ts';

const first = { a: noise(1_200_000, 1), b: noise(100_000, 2) };
const second = { a: Buffer.concat([noise(70_000, 3), first.a.subarray(70_000)]), b: first.b, c: noise(400_000, 4) };
const kills = 5;
const contents = { 'p1-bb': first, 'p2-bb': second } as const;

async function openUnder(storage: Storage, fill: number) {
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

async function fill(storage: Storage, scene: Awaited<ReturnType<typeof openScene>>): Promise<void> {
  const archive = await openUnder(storage, 1);
  await scene.store(archive, 'p1', first);
  await scene.store(archive, 'p2', second);
  const now = Math.floor(Date.now() / 1000);
  const at = (t: number) => ({ t: now + t, i: 1, term: 1 });
  const chain = await archive.oplog.startChain({ why: 'the first', after: at(0), previous: null });
  const writer = await archive.oplog.openChainWriter(chain, 'a:1');
  for (let t = 1; t <= 4; t++) {
    writer.append({ first: at(t), last: at(t), count: 1, bytes: noise(2000, t) });
    await writer.flush();
  }
  await writer.close();
  await archive.oplog.addBarrier(chain, at(2), 'a barrier');
}

for (const fault of ['die-before', 'die-after'] as const) {
  test(`a copy that dies at any write (${fault}) leaves whole copies or none, and the next run takes up what was stored`, async (t) => {
    const scene = await openScene(t);
    const source = memoryStorage();
    await fill(source, scene);
    const empty = memoryStorage();
    await openUnder(empty, 2);
    const slices = (await (await openUnder(source, 1)).oplog.slices((await (await openUnder(source, 1)).oplog.chains()).chains[0]!.id)).map(({ through }) => through);
    let tried = 0;
    // Dying before a change is nearly the same as after the one before: each of the two has every second one.
    for (let number = fault === 'die-before' ? 1 : 2; ; number += 2) {
      const target = empty.copy();
      const faulty = faultyStorage(target, (change) => (change.number === number ? fault : 'pass'));
      const isOver = await runCopy(await openUnder(source, 1), await openUnder(faulty, 2)).then(() => true, () => false);
      if (isOver && !faulty.isDead) break;
      tried = number;
      const archive = await openUnder(target, 2);
      for (const { id } of await archive.points()) await scene.requireExact(archive, id, contents[id as keyof typeof contents]);
      const stored = [...target.objects].filter(([name]) => name.includes('/packs/')).length;
      const again = await runCopy(await openUnder(source, 1), archive);
      if (stored >= 2) assert.ok(again.read < 1_500_000, `${again.read} bytes were read again after change ${number}`);
      for (const [id, wanted] of Object.entries(contents)) await scene.requireExact(archive, id, wanted);
      const chain = (await archive.oplog.chains()).chains[0]!.id;
      assert.deepEqual((await archive.oplog.slices(chain)).map(({ through }) => through), slices);
      assert.deepEqual((await archive.check({ readDataPercent: 100, workers: 0 })).damage, [], `after change ${number} and a second run`);
    }
    t.diagnostic(`${tried} changes were tried`);
    assert.ok(tried > 20);
  });
}

test('a copying process that is killed at random moments is taken up by the next one, and the copy is the same', async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  const root = await mkdtemp(join(tmpdir(), 'tm-copy-killed-'));
  t.after(async () => await rm(root, { recursive: true, force: true }));
  const [from, to] = [join(root, 'from'), join(root, 'to')];
  const scene = await openScene(t);
  await fill(await openDirectory(from, { create: true }), scene);
  await openUnder(await openDirectory(to, { create: true }), 2);
  let killed = 0;
  for (let round = 0; ; round++) {
    const child = spawn(process.execPath, [new URL('../kit/copying-archive.ts', import.meta.url).pathname, from, to], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    await Promise.race([once(child.stdout, 'data'), ended]);
    // It has begun; from here on any moment is as good as another.
    const timer = round >= kills ? undefined : after(chance.below(250)).then(() => child.kill('SIGKILL'));
    const [code, signal] = (await ended) as [number | null, string | null];
    await timer;
    const archive = await openUnder(await openDirectory(to), 2);
    for (const { id } of await archive.points()) await scene.requireExact(archive, id, contents[id as keyof typeof contents]);
    if (signal === 'SIGKILL') killed += 1;
    else {
      assert.equal(code, 0);
      if (round >= kills || (await archive.points()).length === 2) break;
    }
  }
  const archive = await openUnder(await openDirectory(to), 2);
  for (const [id, wanted] of Object.entries(contents)) await scene.requireExact(archive, id, wanted);
  assert.equal((await archive.check({ readDataPercent: 100, workers: 0 })).ok, true);
  t.diagnostic(`${killed} processes were killed`);
});
