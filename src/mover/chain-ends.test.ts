import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, readAll, time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { timeKey, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { silentLog } from '../base/log.ts';
import { openArchive } from '../repository/archive.ts';
import { randomKey } from '../repository/keys.ts';
import { openOplogArchive } from '../repository/oplog-archive.ts';
import { encodeSlice, openSliceHeader } from '../repository/oplog-slice.ts';
import { cutOplog, emptyCuts } from '../repository/oplog-trim.ts';
import { makeArchive } from '../repository/repository.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { archiveRules } from './archive-rules.ts';
import { requestRefused } from './failures.ts';
import { openServedSession } from './served-session.ts';

const setId = 'b'.repeat(24);

/** An archived chain from 1000 to 1040, and a host that has its key and a data session. */
async function openScene() {
  const storage = memoryStorage();
  const { key } = await makeArchive(storage, randomKey(), setId, 'rs0');
  const archive = await openArchive(storage, setId, key);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(1000), previous: null });
  await writeSlices(archive, chain, [1010, 1020, 1030, 1040]);
  const { names, keys } = archive.parts;
  let asked = 0;
  const session = openServedSession(storage, archiveRules(setId), 'append', silentLog);
  const ask = async (kind: 'put' | 'create' | 'take-back', head: object, body: Uint8Array = Buffer.alloc(0)): Promise<object> => (await session.perform('host', ++asked, kind, { answered: 0, ...head } as never, Buffer.from(body))).head;
  const slice = async (after: Optime, through: Optime): Promise<{ name: string; bytes: Buffer }> => {
    const name = `${names.day(chain, 0)}${timeKey(after)}-${timeKey(through)}`;
    const before = [...storage.objects].find(([each]) => each.endsWith(`-${timeKey(after)}`));
    const previous = before === undefined ? '' : openSliceHeader(keys, chain, before[0], Buffer.from(before[1].bytes)).hash;
    return { name, bytes: encodeSlice(keys, name, after, previous, [batchOf([through], 'FORGED')]).bytes };
  };
  return { storage, archive, chain, names, ask, slice };
}

/** Puts go through the session's rules. */
function channelOf(storage: MemoryStorage, ask: (kind: 'put' | 'create' | 'take-back', head: object, body?: Uint8Array) => Promise<object>): Storage {
  return {
    ...storage,
    put: async (name, bytes, how) => ((await ask('put', { name, how }, bytes)) as { outcome: 'stored' | 'exists' }).outcome,
    delete: async (name) => void (await ask('take-back', { name })),
  };
}

const isRefused = (error: unknown): boolean => isFailure(error, requestRefused);

test('a host carries its oplog on, and writes nothing into what is archived of it', async () => {
  const { archive, chain, ask, slice } = await openScene();
  const archived = await readAll(archive, chain, time(1000), time(1040, 3));
  for (const [after, through] of [[time(1000), time(1040, 3)], [time(1010, 3), time(1030, 3)], [time(1015), time(1100)], [time(1040, 2), time(1100)], [time(900), time(1001)]] as const) {
    const { name, bytes } = await slice(after, through);
    await assert.rejects(ask('put', { name, how: 'new' }, bytes), isRefused, name);
    await assert.rejects(ask('put', { name, how: 'replace' }, bytes), isRefused, name);
    await assert.rejects(ask('create', { name, object: 1 }), isRefused, name);
  }
  const next = await slice(time(1040, 3), time(1050));
  assert.deepEqual(await ask('put', { name: next.name, how: 'new' }, next.bytes), { outcome: 'stored' });
  const inside = await slice(time(1045), time(1060));
  await assert.rejects(ask('put', { name: inside.name, how: 'new' }, inside.bytes), isRefused);
  assert.ok((await readAll(archive, chain, time(1000), time(1040, 3))).equals(archived));
  assert.equal((await archive.oplog.slices(chain)).at(-1)!.through.t, 1050);
});

test('one that is there already is told as such, and one that was taken back can be written otherwise', async () => {
  const { ask, slice, storage } = await openScene();
  const next = await slice(time(1040, 3), time(1050));
  assert.deepEqual(await ask('put', { name: next.name, how: 'new' }, next.bytes), { outcome: 'stored' });
  assert.deepEqual(await ask('put', { name: next.name, how: 'new' }, next.bytes), { outcome: 'exists' });
  await ask('take-back', { name: next.name });
  const other = await slice(time(1040, 3), time(1045));
  assert.deepEqual(await ask('put', { name: other.name, how: 'new' }, other.bytes), { outcome: 'stored' });
  assert.ok(!storage.objects.has(next.name) && storage.objects.has(other.name));
});

test('what a writer that lost left beside the chain holds nobody up', async () => {
  const { storage, archive, chain, ask, slice } = await openScene();
  const stray = await slice(time(1020, 3), time(2000));
  await storage.put(stray.name, stray.bytes, 'new');
  const next = await slice(time(1040, 3), time(1050));
  assert.deepEqual(await ask('put', { name: next.name, how: 'new' }, next.bytes), { outcome: 'stored' });
  assert.equal((await archive.oplog.slices(chain)).at(-1)!.through.t, 1050);
});

test('a chain whose first slice behind a cut is lost ends with the cut, and is archived anew from there', async () => {
  const { storage, archive, chain, ask } = await openScene();
  const { full } = await cutOplog(archive.parts, async () => (_, through) => through.t > 1020);
  await emptyCuts(archive.parts, full);
  storage.objects.delete([...storage.objects.keys()].filter((name) => name.includes('/slices/')).sort()[0]!);
  const session = channelOf(storage, ask);
  const writer = await openOplogArchive({ ...archive.parts, storage: session }).openChainWriter(chain, 'host');
  assert.equal(writer.through.t, 1020);
  writer.append(batchOf([time(1030), time(1045)]));
  assert.equal((await writer.flush()).t, 1045);
  assert.equal((await archive.oplog.slices(chain)).at(-1)!.through.t, 1045);
});

test('what is no cut by its place is none, whatever its name has in it', async () => {
  const { storage, archive, chain, names } = await openScene();
  const before = await archive.oplog.slices(chain);
  for (const name of [`${names.slices(chain)}0000/cuts/${timeKey(time(1000))}-${timeKey(time(1040, 3))}`, `${names.cuts(chain)}0000/${timeKey(time(1000))}-${timeKey(time(1040, 3))}`]) {
    assert.ok(!archiveRules(setId).mayAdd(name), name);
    await storage.put(name, Buffer.from('anything'), 'new');
  }
  assert.deepEqual(await archive.oplog.slices(chain), before);
});
