import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { mergeSegments } from './index-merge.ts';
import { openIndexOf, syntheticId, writeSyntheticIndex } from './index-synthetic.ts';
import { keysOf } from './keys.ts';
import { objectNames } from './object-names.ts';
import { packStore } from './pack-store.ts';
import { pointStore } from './points.ts';
import type { ChunkIndex } from './chunk-index.ts';
import type { Location } from './segment-reader.ts';

const setId = 'e'.repeat(24);
const key = Buffer.alloc(32, 4);
const names = objectNames(setId);

function partsOf(storage: ReturnType<typeof memoryStorage>) {
  const keys = keysOf(key);
  return { setId, storage, keys, names, points: pointStore(storage, keys.object, names, setId), packs: packStore(storage, keys, names) };
}

async function placesOf(index: ChunkIndex, id: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const { pack, offset, bytes } of index.candidates(id)) found.add(`${pack} ${offset} ${bytes}`);
  return [...found].sort();
}

const chunkId = (number: number): string => createHash('sha256').update(`chunk ${number % 400}`).digest('hex');
const packId = (number: number): string => createHash('sha256').update(`pack ${number}`).digest('hex').slice(0, 32);

test('an index answers as a map would, over flushes, merges and reopenings', async (t) => {
  const seed = Number(process.hrtime.bigint() % 1_000_000n);
  t.diagnostic(`seed ${seed}`);
  const pack = fc.array(fc.nat(399), { minLength: 1, maxLength: 150 });
  const step = fc.oneof({ weight: 5, arbitrary: pack.map((chunks) => ({ kind: 'pack' as const, chunks })) }, fc.constantFrom({ kind: 'flush' as const }, { kind: 'merge' as const }, { kind: 'reopen' as const }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 40 }), async (steps) => {
      const storage = memoryStorage();
      let index = await openIndexOf(storage, setId, key);
      const expected = new Map<string, Map<string, Location>>();
      const unsaved: [string, Location][] = [];
      let packs = 0;
      const save = (): void => {
        for (const [id, place] of unsaved.splice(0)) expected.set(id, (expected.get(id) ?? new Map<string, Location>()).set(place.pack, place));
      };
      for (const one of steps) {
        if (one.kind === 'pack') {
          const id = packId(++packs);
          const places = [...new Set(one.chunks)].map((chunk, at) => ({ id: chunkId(chunk), offset: 24 + at, bytes: 100 + at }));
          index.add({ id, bytes: 5000 }, places);
          // Until it is flushed, the newest place of a chunk is the one that counts.
          for (const place of places) {
            const before = unsaved.findIndex(([known]) => known === place.id);
            if (before >= 0) unsaved.splice(before, 1);
            unsaved.push([place.id, { pack: id, packBytes: 5000, offset: place.offset, bytes: place.bytes }]);
          }
        } else {
          await index.flush();
          save();
          if (one.kind === 'merge') await mergeSegments(partsOf(storage), index, { mostEntries: 1e9, all: true });
          if (one.kind === 'reopen') index = await openIndexOf(storage, setId, key);
        }
      }
      await index.flush();
      save();
      for (let chunk = 0; chunk < 400; chunk++) {
        const id = chunkId(chunk);
        const places = [...(expected.get(id)?.values() ?? [])].map((place) => `${place.pack} ${place.offset} ${place.bytes}`).sort();
        assert.deepEqual(await placesOf(index, id), places);
      }
    }),
    { seed, numRuns: 25 },
  );
});

test('every chunk of an index of many blocks is found, and its neighbours are not', async () => {
  const storage = memoryStorage();
  const count = 20_000;
  await writeSyntheticIndex(storage, setId, key, count);
  const index = await openIndexOf(storage, setId, key);
  assert.equal(index.segments[0]!.entries, count);
  for (const number of [0, 1, 95, 96, 97, 9_999, ...Array.from({ length: 300 }, (_, k) => k * 61), count - 1]) {
    const id = syntheticId(number, count);
    assert.equal((await placesOf(index, id.toString('hex'))).length, 1, `chunk ${number}`);
    id[31]! ^= 1;
    assert.deepEqual(await placesOf(index, id.toString('hex')), []);
  }
});

test('a merge forgets the packs that are gone and keeps every other entry', async () => {
  const storage = memoryStorage();
  const index = await openIndexOf(storage, setId, key);
  const [here, gone] = [packId(1), packId(2)];
  index.add({ id: here, bytes: 100 }, [{ id: chunkId(1), offset: 24, bytes: 50 }]);
  await index.flush();
  index.add({ id: gone, bytes: 100 }, [{ id: chunkId(1), offset: 30, bytes: 50 }, { id: chunkId(2), offset: 40, bytes: 50 }]);
  await index.flush();
  assert.equal((await placesOf(index, chunkId(1))).length, 2);
  await storage.put(names.pack(here), Buffer.alloc(100), 'new');
  await index.coverPacks();
  assert.deepEqual([index.hasPack(here), index.hasPack(gone)], [true, false]);
  assert.deepEqual(await placesOf(index, chunkId(1)), [`${here} 24 50`]);
  await mergeSegments(partsOf(storage), index, { mostEntries: 1e9, all: true });
  const again = await openIndexOf(storage, setId, key);
  assert.deepEqual([again.segments.length, again.segments[0]!.entries, again.segments[0]!.packs], [1, 1, 1]);
});
