import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestArchive } from '../../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../../test/kit/memory-storage.ts';
import { time, writeSlices } from '../../../test/kit/oplog-scene.ts';
import { silentLog } from '../../base/log.ts';
import { cutOplog } from '../../repository/oplog-trim.ts';
import { followStretch } from './followed-stretch.ts';

const at = (t: number, i = 3) => ({ t, i });

test('a follower tells of cuts that are made while it runs, and of a barrier as of a barrier', async () => {
  const archive = await openTestArchive(memoryStorage());
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10, 3), previous: null });
  await writeSlices(archive, chain, [20, 30, 40, 50, 60]);
  using stretch = await followStretch(archive.oplog, chain, { log: silentLog });
  assert.deepEqual(stretch.told(), { since: at(10), isBehindBarrier: false, cuts: [] });
  await cutOplog(archive.parts, async () => await Promise.resolve(({ t }: { t: number }) => t < 20 || t >= 40));
  await stretch.look();
  assert.deepEqual(stretch.told(), { since: at(40), isBehindBarrier: false, cuts: [{ after: at(20), through: at(40) }] });
  stretch.barrier(at(50, 1));
  assert.deepEqual(stretch.told(), { since: at(50, 1), isBehindBarrier: true, cuts: [{ after: at(20), through: at(40) }] });
  await archive.oplog.addBarrier(chain, time(50, 1), 'a barrier');
  using anew = await followStretch(archive.oplog, chain, { log: silentLog });
  assert.deepEqual(anew.told(), stretch.told());
});
