import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowOf } from '../../src/agent/window.ts';
import { chooseRestore } from '../../src/domain/restore-choice.ts';
import { factsOf } from '../../src/server/moments.ts';
import { noise, openScene, openTestArchive, pointAbout, setId, type Scene } from '../kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../kit/memory-storage.ts';

const at = (t: number) => ({ t, i: 1, term: 1 });
const contents = { a: noise(100_000, 1) };

async function makeHistory(scene: Scene): Promise<{ storage: MemoryStorage; chains: string[] }> {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  for (const [index, id] of ['p1', 'p2', 'p3'].entries()) await scene.store(archive, id, contents, { about: pointAbout, checkpoint: { t: 110 + 10 * index, i: 1 }, top: at(112 + 10 * index) });
  await archive.recordProof('p1', { level: 'open', atMs: 1, ok: true, says: 'x' });
  const chains: string[] = [];
  for (const [after, through] of [[100, 150], [200, 250]] as const) {
    const chain = await archive.oplog.startChain({ why: `from ${after}`, after: at(after), previous: chains.at(-1) ?? null });
    const writer = await archive.oplog.openChainWriter(chain, 'n1');
    writer.append({ first: at(through), last: at(through), count: 1, bytes: noise(500, through) });
    await writer.flush();
    await writer.close();
    chains.push(chain);
  }
  await archive.oplog.addBarrier(chains[0]!, at(140), 'setFeatureCompatibilityVersion');
  return { storage, chains };
}

const look = async (storage: MemoryStorage) => await windowOf(await openTestArchive(storage), 300_000);

test('one damaged byte in any small object hides no whole point, is told, and stops no backup', async (t) => {
  const scene = await openScene(t);
  const { storage, chains } = await makeHistory(scene);
  const small = [...storage.objects.keys()].filter((name) => name.startsWith(`sets/${setId}/`) && /\/(points|proofs|chains|barriers|leases|retired)\/|\/writer$/.test(name));
  assert.ok(small.length >= 7);
  for (const name of small) {
    for (const hurt of [(bytes: Uint8Array) => void (bytes[bytes.length >> 1]! ^= 1), undefined]) {
      const copy = storage.copy();
      if (hurt === undefined) copy.objects.get(name)!.bytes = new Uint8Array(0);
      else hurt(copy.objects.get(name)!.bytes);
      const window = await look(copy);
      const point = /\/points\/(.*)$/.exec(name)?.[1] ?? null;
      assert.deepEqual(window.points.map(({ id }) => id), ['p1', 'p2', 'p3'].filter((id) => id !== point), name);
      assert.deepEqual(window.damaged.map(({ object, point: hurtPoint }) => [object, hurtPoint]), name.endsWith('/writer') ? [] : [[name, point]], name);
      for (const id of window.points.map((one) => one.id)) await scene.requireExact(await openTestArchive(copy), id, contents);
      await scene.store(await openTestArchive(copy), 'p4', contents, { about: pointAbout, checkpoint: { t: 210, i: 1 }, top: at(212) });
      await scene.requireExact(await openTestArchive(copy), 'p4', contents);
      if (name.endsWith(`/chains/${chains[0]}`)) assert.deepEqual(window.spans.map(({ chain }) => chain), [chains[1]]);
      else assert.equal(window.spans.length + Number(name.includes('/chains/')), 2, name);
    }
  }
});

test('a barrier whose record is damaged still bars the moments behind it, and only those', async (t) => {
  const { storage } = await makeHistory(await openScene(t));
  const name = [...storage.objects.keys()].find((one) => one.includes('/barriers/'))!;
  storage.objects.get(name)!.bytes[20]! ^= 1;
  const facts = factsOf(await look(storage));
  assert.equal(chooseRestore(facts, { kind: 'time', at: { t: 139, i: 1 } }).kind, 'point');
  const behind = chooseRestore(facts, { kind: 'time', at: { t: 145, i: 1 } });
  assert.deepEqual([behind.kind, behind.kind === 'refused' && behind.why], ['refused', 'an entry whose record is damaged at 140,1 cannot be replayed over']);
});

test('a barrier that has lost its name as well makes its chain unusable, and the other chain stays', async (t) => {
  const { storage, chains } = await makeHistory(await openScene(t));
  const name = [...storage.objects.keys()].find((one) => one.includes('/barriers/'))!;
  storage.objects.set(`${name.slice(0, -3)}xyz`, storage.objects.get(name)!);
  storage.objects.delete(name);
  const window = await look(storage);
  assert.deepEqual(window.spans.map(({ chain }) => chain), [chains[1]]);
  assert.match(window.damaged[0]?.what ?? '', new RegExp(`oplog chain ${chains[0]} cannot be used`));
  assert.equal(chooseRestore(factsOf(window), { kind: 'time', at: { t: 145, i: 1 } }).kind, 'refused');
});

test('a proof that cannot be read proves nothing, and the ones before it count', async (t) => {
  const { storage } = await makeHistory(await openScene(t));
  const name = [...storage.objects.keys()].find((one) => one.includes('/proofs/'))!;
  storage.objects.get(name)!.bytes[20]! ^= 1;
  assert.equal((await look(storage)).points[0]?.proof, null);
});
