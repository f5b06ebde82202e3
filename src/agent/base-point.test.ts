import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, openScene, openTestArchive, pointAbout } from '../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { chooseBase } from './base-point.ts';

test('a point that failed its proof is no base: the next backup reads everything, until a point has passed again', async (t) => {
  const scene = await openScene(t);
  const archive = await openTestArchive(memoryStorage());
  const base = async (source = 'a:1'): Promise<string> => {
    const chosen = await chooseBase(archive, source);
    return chosen.kind === 'base' ? chosen.point.id : chosen.why;
  };
  const proof = async (point: string, level: 'open' | 'full', ok: boolean): Promise<void> => await archive.recordProof(point, { level, atMs: 1, ok, says: 'rot' });
  assert.equal(await base(), 'this is the first restore point');
  for (const id of ['p1', 'p2']) await scene.store(archive, id, { a: noise(1000, 1) }, { about: pointAbout });
  assert.equal(await base(), 'p2', 'nobody has looked at it yet');
  await proof('p2', 'full', false);
  await proof('p2', 'open', true);
  assert.equal(await base(), 'restore point p2 did not pass its proof: rot');
  assert.equal(await base('b:1'), 'restore point p2 did not pass its proof: rot');
  await scene.store(archive, 'p3', { a: noise(1000, 1) }, { about: pointAbout });
  await proof('p3', 'open', true);
  assert.equal(await base(), 'p3');
});
