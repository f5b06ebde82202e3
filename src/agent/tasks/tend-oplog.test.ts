/** Slices that become one, by the task and in a directory. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setId } from '../../../test/kit/archive-scene.ts';
import { readAll, requireSound, time, writeSlices } from '../../../test/kit/oplog-scene.ts';
import { systemClock } from '../../base/clock.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { openArchive } from '../../repository/archive.ts';
import { makeArchive } from '../../repository/repository.ts';
import { openDirectory } from '../../repository/storage/directory.ts';
import { tendOplog } from './tend-oplog.ts';

test('slices of a directory are merged and then removed by the task, which says how many there are', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'tm-tend-oplog-'));
  t.after(async () => await rm(root, { recursive: true }));
  const storage = await openDirectory(root, { create: true });
  const { key } = await makeArchive(storage, Buffer.alloc(32, 1), setId, 'rs0');
  const archive = await openArchive(storage, setId, key);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10), previous: null });
  await writeSlices(archive, chain, Array.from({ length: 20 }, (_, index) => 20 + index));
  const whole = await readAll(archive, chain, time(10), time(39, 3));
  const said: string[] = [];
  const context = { clock: systemClock, signal: new AbortController().signal, step: () => {}, progress: () => {}, say: (text: string) => said.push(text) } as never;
  const tend = async (wish: TaskInput<'tend-oplog'>['wish']): Promise<TaskOutput<'tend-oplog'>> => await tendOplog({ archive: { location: { kind: 'directory', path: root }, secret: null, setId, keyHex: Buffer.from(key).toString('hex') }, wish }, context);
  const files = async (): Promise<number> => (await readdir(join(root, archive.parts.names.slices(chain)), { recursive: true })).filter((name) => name.includes('-')).length;

  const merged = await tend({ what: 'merge' });
  assert.ok(merged.what === 'merge');
  assert.deepEqual([merged.slices, merged.into, merged.files, await files()], [19, 1, 21, 21]);
  const removed = await tend({ what: 'remove-merged', merged: merged.full });
  assert.ok(removed.what === 'remove-merged');
  assert.deepEqual([removed.slices, await files()], [19, 2]);
  assert.ok(whole.equals(await readAll(archive, chain, time(10), time(39, 3))));
  await requireSound(archive, 'afterwards');
  assert.match(said.join(), /19 slices of oplog are merged into 1, .*19 slices of oplog removed that are merged/);
});
