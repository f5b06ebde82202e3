import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestArchive } from '../../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../../test/kit/memory-storage.ts';
import { time, writeSlices } from '../../../test/kit/oplog-scene.ts';
import { silentLog } from '../../base/log.ts';
import { listParts } from '../../repository/oplog-reader.ts';
import { cutOplog } from '../../repository/oplog-trim.ts';
import { followStretch } from './followed-stretch.ts';

const told: unknown[] = [];
const context = { log: silentLog, say: () => {}, status: (_: string, value: unknown) => void told.push(value) };
const at = (t: number, i = 3) => ({ t, i });

test('a follower tells of cuts that are made while it runs, and of a barrier as of a barrier', async () => {
  const archive = await openTestArchive(memoryStorage());
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10, 3), previous: null });
  await writeSlices(archive, chain, [20, 30, 40, 50, 60]);
  using stretch = await followStretch(archive.oplog, chain, { through: at(1020) }, context);
  assert.deepEqual(stretch.told(), { since: at(10), isBehindBarrier: false, barriers: [], cuts: [] });
  await cutOplog(archive.parts, async () => await Promise.resolve(({ t }: { t: number }) => t < 20 || t >= 40));
  await stretch.look();
  assert.deepEqual(stretch.told(), { since: at(40), isBehindBarrier: false, barriers: [], cuts: [{ after: at(20), through: at(40) }] });
  stretch.barrier(at(50, 1));
  assert.deepEqual(stretch.told(), { since: at(50, 1), isBehindBarrier: true, barriers: [at(50, 1)], cuts: [{ after: at(20), through: at(40) }] });
  await archive.oplog.addBarrier(chain, time(50, 1), 'a barrier');
  using anew = await followStretch(archive.oplog, chain, { through: at(1020) }, context);
  assert.deepEqual(anew.told(), stretch.told());
});

test('a follower tells of entries that are missing when it begins and once, and not of what a list may only lag behind with', async () => {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10, 3), previous: null });
  await writeSlices(archive, chain, [20, 30, 40, 1000, 1010, 1020]);
  const gone = async (from: number): Promise<void> => void storage.objects.delete((await listParts(archive.parts, chain)).find(({ after }) => after.t === from)!.name);
  await gone(1000);
  told.splice(0);
  using before = await followStretch(archive.oplog, chain, { through: at(1020) }, context);
  assert.deepEqual([before.told().cuts, told], [[], []]);
  await gone(20);
  using stretch = await followStretch(archive.oplog, chain, { through: at(1020) }, context);
  assert.deepEqual(stretch.told(), { since: at(30), isBehindBarrier: false, barriers: [], cuts: [{ after: at(20), through: at(30) }] });
  assert.deepEqual(told, [{ chain, after: at(20), through: at(30) }]);
  using again = await followStretch(archive.oplog, chain, { through: at(20) }, context);
  assert.deepEqual([again.told().cuts, told.length], [[], 1], 'one that the writer is about to fill');
  for (let looks = 0; looks < 10; looks++) await stretch.look();
  assert.equal(told.length, 1);
  for (let looks = 0; looks < 10; looks++) await before.look();
  assert.deepEqual([before.told(), told.length], [stretch.told(), 2], 'one that goes while it runs, too');
});
