import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, openScene, openTestArchive } from '../../test/kit/archive-scene.ts';
import { systemClock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import { placeReadOnly } from './failures.ts';
import { holdersOf } from './holders.ts';
import { readOnly } from './read-only.ts';
import { openDirectory } from './storage/directory.ts';

test('of an attached repository everything is read, checked and listed, and not one name or byte of it changes', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'tm-read-only-'));
  t.after(async () => await rm(root, { recursive: true }));
  const scene = await openScene(t);
  const contents = { a: noise(700_000, 1) };
  const archive = await openTestArchive(await openDirectory(root));
  await scene.store(archive, 'p1', contents);
  const chain = await archive.oplog.startChain({ why: 'the first', after: { t: 1, i: 1, term: 1 }, previous: null });
  const writer = await archive.oplog.openChainWriter(chain, 'a:1');
  // What a killed writer left, long ago.
  await mkdir(join(root, '.tmp'), { recursive: true });
  await writeFile(join(root, '.tmp', 'left'), 'x');
  await utimes(join(root, '.tmp', 'left'), 1, 1);
  await writeFile(join(root, 'sets', archive.setId, 'leases', 'broken-writer-0'), '');
  await utimes(join(root, 'sets', archive.setId, 'leases', 'broken-writer-0'), 1, 1);
  const before = (await readdir(root, { recursive: true })).sort();

  const attached = await openTestArchive(readOnly(await openDirectory(root)));
  await scene.requireExact(attached, 'p1', contents);
  assert.equal((await attached.check({ readDataPercent: 100, workers: 0 })).ok, true);
  assert.deepEqual((await holdersOf(attached.parts, systemClock)).map(({ what }) => what), ['oplog']);
  const refused = (error: unknown): boolean => isFailure(error, placeReadOnly);
  await assert.rejects(attached.deletePoint('p1'), refused);
  await assert.rejects(attached.recordProof('p1', {}), refused);
  await assert.rejects(attached.sweep(), refused);
  await assert.rejects(attached.openWriter({ level: 'fast', workers: 0 }), refused);
  assert.deepEqual((await readdir(root, { recursive: true })).sort(), before);
  await writer.close();
  assert.deepEqual(await holdersOf(attached.parts, systemClock), []);
});
