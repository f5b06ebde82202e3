/** Proofs and copies: what is copied only behind a proof, and how a later proof comes to a copy. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, openScene, pointAbout, setId } from '../../../test/kit/archive-scene.ts';
import { systemClock } from '../../base/clock.ts';
import { openArchive } from '../../repository/archive.ts';
import { makeArchive } from '../../repository/repository.ts';
import { openDirectory } from '../../repository/storage/directory.ts';
import { verdictOn } from '../point-about.ts';
import { copyArchive } from './copy.ts';

test('a point is copied when it is proved and not before, and a proof that is made later comes to its copy, unless that was looked at since', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'tm-copy-task-'));
  t.after(async () => await rm(root, { recursive: true }));
  const scene = await openScene(t);
  const open = async (name: string, fill: number) => {
    const storage = await openDirectory(join(root, name), { create: true });
    const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
    const access = { location: { kind: 'directory' as const, path: join(root, name) }, secret: null, setId, keyHex: Buffer.from(key).toString('hex') };
    return { access, archive: await openArchive(storage, setId, key) };
  };
  const [source, target] = [await open('source', 1), await open('target', 2)];
  const said: string[] = [];
  const context = { clock: systemClock, signal: new AbortController().signal, step: () => {}, progress: () => {}, say: (text: string) => said.push(text) } as never;
  const copy = async (what: 'all' | 'oplog') => await copyArchive({ archive: target.access, from: source.access, source: { id: 'aa', name: 'first' }, suffix: 'bb', what, keep: { kind: 'points', points: 3 }, nowMs: Infinity }, context);
  const verdict = async () => verdictOn((await target.archive.proofs('p1-bb')).proofs);
  const proof = (atMs: number, ok: boolean) => ({ level: 'full' as const, atMs, ok, says: 'looked at' });
  await scene.store(source.archive, 'p1', { a: noise(200_000, 1) }, { about: pointAbout });

  const early = await copy('all');
  assert.deepEqual([early.copied, early.waiting, said], [[], 0, ['restore point p1 is not copied before it is proved: "tidemark point verify p1"']]);
  await source.archive.recordProof('p1', proof(10, true));
  assert.equal((await copy('oplog')).waiting, 1);
  const made = await copy('all');
  assert.deepEqual(made.copied.map(({ id, proof: found }) => [id, found?.ok]), [['p1-bb', true]]);
  await source.archive.recordProof('p1', proof(20, false));
  assert.deepEqual((await copy('oplog')).proved.map(({ point, proof: found }) => [point, found.ok, found.atMs]), [['p1-bb', false, 20]]);
  assert.deepEqual([(await verdict())?.ok, (await copy('all')).proved], [false, []]);
  await target.archive.recordProof('p1-bb', proof(40, true));
  await source.archive.recordProof('p1', proof(30, false));
  assert.deepEqual([(await copy('all')).proved, (await verdict())?.ok], [[], true]);
});
