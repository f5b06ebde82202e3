import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, openTestArchive } from '../../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../../test/kit/memory-storage.ts';
import { turnedClock } from '../../../test/kit/turned-clock.ts';
import { windowOf } from '../window.ts';
import { newestChain } from './oplog.ts';

const entry = (t: number) => ({ t, i: 1, term: 1 });

/** An archive with one chain that goes from 100 to 200, with a barrier at 150. */
async function openScene() {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const first = await archive.oplog.startChain({ why: 'first', after: entry(100), previous: null });
  await archive.oplog.addBarrier(first, entry(150), 'an operation');
  const writer = await archive.oplog.openChainWriter(first, 'n1');
  writer.append({ first: entry(200), last: entry(200), count: 1, bytes: noise(500, 1) });
  await writer.flush();
  await writer.close();
  const said: { key: string; value: unknown }[] = [];
  const context = { clock: turnedClock(), say: () => {}, status: (key: string, value: unknown) => void said.push({ key, value }) };
  const begin = async (why: string, previous: string | null): Promise<string> => await archive.oplog.startChain({ why, after: entry(300), previous });
  const named = (part: string): string => [...storage.objects.keys()].find((name) => name.includes(part))!;
  return { storage, archive, first, said, named, follow: async (isAppendOnly = false) => await newestChain(archive.oplog, begin, { ...context, isAppendOnly }) };
}

test('a follower goes on with the newest chain, also over a barrier whose record is damaged, and tells of the barrier again', async () => {
  const scene = await openScene();
  assert.equal(await scene.follow(), scene.first);
  scene.storage.objects.get(scene.named('/barriers/'))!.bytes.fill(0);
  assert.equal(await scene.follow(), scene.first);
  const told = (what: string) => ({ key: 'barrier', value: { at: { t: 150, i: 1 }, what, chain: scene.first, since: { t: 150, i: 1 } } });
  assert.deepEqual(scene.said, [told('an operation'), told('an entry whose record is damaged')]);
});

test('a follower that begins on a chain tells again why the one before it ended, for the server may have been away when that was told', async () => {
  const scene = await openScene();
  const next = await scene.archive.oplog.startChain({ why: 'rolled over', after: entry(300), previous: scene.first });
  assert.equal(await scene.follow(), next);
  const [{ key, value }] = scene.said as [{ key: string; value: Record<string, unknown> }];
  const { atMs, ...told } = value;
  assert.deepEqual([key, told], ['broken', { reason: 'rolled over', chain: scene.first, next, after: { t: 200, i: 1 }, isUseless: false, since: { t: 300, i: 1 } }]);
  assert.equal(atMs, (await scene.archive.oplog.chains()).chains.at(-1)!.startedAtMs);
  assert.equal(scene.said.length, 1);
});

for (const [what, hurt, after] of [
  ['a barrier has lost its name', ({ storage, named }: Awaited<ReturnType<typeof openScene>>) => {
    const name = named('/barriers/');
    storage.objects.set(name.replace(/[^/]+$/, 'lost+found'), storage.objects.get(name)!);
    storage.objects.delete(name);
  }, { t: 100, i: 1 }],
  ['the start is damaged', ({ storage, named }: Awaited<ReturnType<typeof openScene>>) => void storage.objects.get(named('/chains/'))!.bytes.fill(0), { t: 0, i: 0 }],
] as const) {
  test(`a chain of which ${what} is of no use: the next one begins, says why, and is one that moments can be reached on`, async () => {
    const scene = await openScene();
    hurt(scene);
    const next = await scene.follow();
    assert.notEqual(next, scene.first);
    const { value, ...more } = scene.said[0]! as { key: string; value: Record<string, unknown> };
    assert.deepEqual([more, value['chain'], value['next'], value['after'], value['isUseless']], [{ key: 'broken' }, scene.first, next, after, true]);
    assert.match(String(value['reason']), new RegExp(`oplog chain ${scene.first} is.*nothing of it can be used`));
    assert.deepEqual((await windowOf(scene.archive, 0)).spans.map(({ chain }) => chain), [next], 'the window uses this one alone');
    assert.equal(await scene.follow(), next, 'a restart goes on with it');
    const { atMs: _, since, ...again } = scene.said[1]!.value as Record<string, unknown>;
    assert.deepEqual([{ ...again, atMs: value['atMs'] }, since], [value, { t: 300, i: 1 }], 'and says the same again');
    assert.equal(scene.said.length, 2);
  });
}

test('a chain whose first slice is lost goes on where that can be written anew; over a data channel the next one begins, and what is left of it stays of use', async () => {
  const scene = await openScene();
  const writer = await scene.archive.oplog.openChainWriter(scene.first, 'n1');
  writer.append({ first: entry(260), last: entry(260), count: 1, bytes: noise(500, 2) });
  await writer.flush();
  await writer.close();
  assert.equal(await scene.follow(true), scene.first);
  scene.storage.objects.delete(scene.named('/slices/'));
  assert.equal(await scene.follow(false), scene.first);
  const broken = (): unknown[] => scene.said.filter((one) => (one as { key?: string }).key === 'broken');
  assert.deepEqual(broken(), []);
  const next = await scene.follow(true);
  assert.notEqual(next, scene.first);
  const { value } = broken()[0]! as { value: Record<string, unknown> };
  assert.deepEqual([value['chain'], value['next'], value['after'], value['isUseless']], [scene.first, next, { t: 260, i: 1 }, false]);
  assert.match(String(value['reason']), /first archived entries .* are missing/);
  assert.deepEqual((await windowOf(scene.archive, 0)).spans.map(({ chain, after }) => [chain, after.t]), [[scene.first, 200], [next, 300]]);
  assert.equal(await scene.follow(true), next, 'a restart goes on with it');
});
