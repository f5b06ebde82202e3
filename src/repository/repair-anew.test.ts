/** Stretches of oplog that are written anew from an archive with other borders. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setId } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, readAll, requireSound, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { systemClock } from '../base/clock.ts';
import { openArchive, type Archive } from './archive.ts';
import { copyOplog } from './copy-oplog.ts';
import { readChain } from './oplog-chain.ts';
import { mergeOplog, removeMerged } from './oplog-merge.ts';
import { listSlices, listUnder, openSlice } from './oplog-reader.ts';
import { encodeSlice, sliceName, type SliceName } from './oplog-slice.ts';
import { healAnew } from './repair-oplog-anew.ts';
import { repairArchive } from './repair.ts';
import { makeArchive } from './repository.ts';

const day = Math.floor(systemClock.now() / 86_400_000 - 3) * 86_400;
const limits = { groupBytes: 32 << 20, fewest: 2 };

async function openUnder(storage: MemoryStorage, fill: number): Promise<Archive> {
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

/** A chain of so many slices, and a copy of it that has merged all but the last one. */
async function openPair(slices: number, padding: string): Promise<{ main: MemoryStorage; source: Archive; target: Archive; chain: string; way: SliceName[] }> {
  const [main, other] = [memoryStorage(), memoryStorage()];
  const [source, target] = [await openUnder(main, 1), await openUnder(other, 2)];
  const chain = await source.oplog.startChain({ why: 'the first', after: time(day), previous: null });
  await writeSlices(source, chain, Array.from({ length: slices }, (_, at) => day + 10 * (at + 1)), padding);
  await copyOplog({ source: source.parts, target: target.parts, from: time(0) }, (await source.oplog.chains()).chains);
  await removeMerged(target.parts, (await mergeOplog(target.parts, { limits })).full);
  return { main, source, target, chain, way: await listSlices(source.parts, chain) };
}

const damageHeader = (storage: MemoryStorage, name: string): void => void (storage.objects.get(name)!.bytes[40]! ^= 1);
const damageBlock = (storage: MemoryStorage, { name, bytes }: SliceName): void => void (storage.objects.get(name)!.bytes[bytes - 3]! ^= 1);

test('a slice that a host has put beside the chain is never made a part of it by a repair, and nothing that can be read is deleted', async () => {
  const { main, source, target, chain, way } = await openPair(8, 'x'.repeat(500));
  const { parts } = source;
  const linkOf = async (slice: SliceName): Promise<string> => (await openSlice(parts, chain, slice)).hash;
  const forge = async (storage: MemoryStorage, after: SliceName, through: SliceName, previous: string, padding: string): Promise<{ name: string; hash: string }> => {
    const name = sliceName(parts.names, chain, after.through, through.through);
    const { bytes, hash } = encodeSlice(parts.keys, name, time(after.through.t, after.through.i), previous, [batchOf([time(through.through.t, 1), time(through.through.t, 3)], padding)]);
    await storage.put(name, bytes, 'new');
    return { name, hash };
  };
  const harms: Record<string, (storage: MemoryStorage, forged: string) => Promise<void>> = {
    'the true slice behind it is whole': async () => {},
    'the header of the true slice behind it is damaged': async (storage) => damageHeader(storage, way[5]!.name),
    'what is damaged behind it was put by the host too': async (storage, forged) => {
      const { name } = await forge(storage, way[4]!, way[6]!, forged, 'x'.repeat(500));
      damageHeader(storage, name);
    },
    'of what was put behind it the blocks are damaged': async (storage, forged) => {
      const { name } = await forge(storage, way[4]!, way[6]!, forged, 'x'.repeat(500));
      damageBlock(storage, (await listUnder((await openUnder(storage, 1)).parts, name))[0]!);
    },
  };
  for (const [where, harm] of Object.entries(harms)) {
    const hurt = main.copy();
    const { name, hash } = await forge(hurt, way[2]!, way[4]!, await linkOf(way[2]!), 'forged');
    await harm(hurt, hash);
    const whole = way.filter((slice) => Buffer.from(hurt.objects.get(slice.name)!.bytes).equals(main.objects.get(slice.name)!.bytes));
    const report = await repairArchive(await openUnder(hurt, 1), { archive: target, repository: 'bb', name: 'second' }, { workers: 0 });
    assert.deepEqual([report.ok, report.hurtOplog.length > 0], [false, true], `${where}: ${JSON.stringify(report.objects)}`);
    for (const slice of whole) assert.ok(hurt.objects.has(slice.name), `${where}: ${slice.name} is gone`);
    // Without it the chain is what it was, or comes to be.
    for (const added of [...hurt.objects.keys()]) if (added === name || (where.startsWith('of what') && !main.objects.has(added) && !added.endsWith('-merged'))) hurt.objects.delete(added);
    await repairArchive(await openUnder(hurt, 1), { archive: target, repository: 'bb', name: 'second' }, { workers: 0 });
    const archive = await openUnder(hurt, 1);
    await requireSound(archive, where);
    assert.ok((await readAll(archive, chain, time(day), time(day + 80, 3))).equals(await readAll(target, chain, time(day), time(day + 80, 3))), where);
  }
});

test('a long stretch is on the way when all of its pieces are there: a repair that ends before leaves the way as it was, and the next one goes on', async () => {
  const { main, target, chain, way } = await openPair(8, 'x'.repeat(400_000));
  const hurt = main.copy();
  for (const { name } of way.slice(1, 6)) damageHeader(hurt, name);
  const damaged = new Set(way.slice(1, 6).map(({ name }) => name));
  const heal = async (storage: MemoryStorage): Promise<string[]> => {
    const { parts } = await openUnder(storage, 1);
    const healed: string[] = [];
    await healAnew({ parts, from: target.parts, chain, stored: await readChain(parts, chain), pieceBytes: 1 }, damaged, (object) => void healed.push(object), () => {});
    return healed;
  };
  let [puts, killed] = [0, 0];
  for (let fatal = 1; ; fatal++) {
    const storage = hurt.copy();
    puts = 0;
    const [put, remove] = [storage.put, storage.delete];
    const dies = async (): Promise<void> => {
      if (++puts >= fatal) throw new Error('killed');
      await Promise.resolve();
    };
    storage.put = async (...given) => {
      await dies();
      return await put(...given);
    };
    storage.delete = async (name) => {
      await dies();
      await remove(name);
    };
    const isKilled = await heal(storage).then(() => false, () => true);
    Object.assign(storage, { put, delete: remove });
    const { parts } = await openUnder(storage, 1);
    assert.equal((await listSlices(parts, chain)).at(-1)?.through.t, day + 80, `killed at write ${fatal}: the way ends before`);
    if (isKilled) killed++;
    await heal(storage);
    const archive = await openUnder(storage, 1);
    await requireSound(archive, `killed at write ${fatal}`);
    assert.ok((await readAll(archive, chain, time(day), time(day + 80, 3))).equals(await readAll(target, chain, time(day), time(day + 80, 3))));
    if (!isKilled) break;
  }
  assert.ok(killed > 5, `${killed} writes, of several pieces`);
});
