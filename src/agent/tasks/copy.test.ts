/** Proofs and copies: what is copied only behind a proof, and how a later proof comes to a copy. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { noise, openScene, pointAbout, setId } from '../../../test/kit/archive-scene.ts';
import { batchOf, time, writeSlices } from '../../../test/kit/oplog-scene.ts';
import { systemClock } from '../../base/clock.ts';
import { openArchive } from '../../repository/archive.ts';
import { cutOplog, emptyCuts } from '../../repository/oplog-trim.ts';
import { makeArchive } from '../../repository/repository.ts';
import { openDirectory } from '../../repository/storage/directory.ts';
import { verdictOn } from '../point-about.ts';
import { copyArchive } from './copy.ts';

async function openPair(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'tm-copy-task-'));
  t.after(async () => await rm(root, { recursive: true }));
  const open = async (name: string, fill: number) => {
    const storage = await openDirectory(join(root, name), { create: true });
    const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
    const access = { location: { kind: 'directory' as const, path: join(root, name) }, secret: null, setId, keyHex: Buffer.from(key).toString('hex') };
    return { access, archive: await openArchive(storage, setId, key) };
  };
  const [source, target] = [await open('source', 1), await open('target', 2)];
  const chain = await source.archive.oplog.startChain({ why: 'first', after: time(begun), previous: null });
  const said: string[] = [];
  const context = { clock: systemClock, signal: new AbortController().signal, step: () => {}, progress: () => {}, say: (text: string) => said.push(text) } as never;
  const copy = async (what: 'all' | 'oplog') => await copyArchive({ archive: target.access, from: source.access, source: { id: 'aa', name: 'first' }, suffix: 'bb', what, keep: { kind: 'points', points: 3 }, nowMs: Infinity }, context);
  return { scene: await openScene(t), source, target, chain, said, copy };
}

/** A copy looks into the folder of each day since a chain began. */
const begun = Math.floor(systemClock.now() / 1000) - 3600;
const moment = (t: number) => ({ t: begun + t, i: 3 });
const proof = (atMs: number, ok: boolean) => ({ level: 'full' as const, atMs, ok, says: 'looked at' });

test('a point is copied when it is proved and not before, and a proof that is made later comes to its copy, a bad one whatever the clocks say', async (t) => {
  const { scene, source, target, chain, said, copy } = await openPair(t);
  await writeSlices(source.archive, chain, [begun + 10, begun + 20]);
  const verdict = async () => verdictOn((await target.archive.proofs('p1-bb')).proofs);
  await scene.store(source.archive, 'p1', { a: noise(200_000, 1) }, { about: pointAbout, checkpoint: moment(10), top: { ...moment(20), term: 1 } });

  const early = await copy('all');
  assert.deepEqual([early.copied, early.waiting, said], [[], 0, ['restore point p1 is not copied before it is proved: "tidemark point verify p1"']]);
  await source.archive.recordProof('p1', proof(10, true));
  assert.equal((await copy('oplog')).waiting, 1);
  const made = await copy('all');
  assert.deepEqual(made.copied.map(({ id, proof: found }) => [id, found?.ok]), [['p1-bb', true]]);
  await source.archive.recordProof('p1', proof(20, false));
  assert.deepEqual((await copy('oplog')).proved.map(({ point, proof: found }) => [point, found.ok, found.atMs]), [['p1-bb', false, 20]]);
  assert.deepEqual([(await verdict())?.ok, (await copy('all')).proved], [false, []]);
  await target.archive.recordProof('p1-bb', proof(9_000, true));
  assert.deepEqual([(await copy('all')).proved, (await verdict())?.ok], [[], true], 'what was brought before is not brought again');
  await source.archive.recordProof('p1', proof(30, false));
  assert.deepEqual([(await copy('all')).proved.length, (await verdict())?.ok], [1, false]);
  await source.archive.recordProof('p1', proof(40, true));
  assert.deepEqual([(await copy('all')).proved.length, (await verdict())?.ok], [1, true], 'what was brought is taken back from there');
  await target.archive.recordProof('p1-bb', proof(45, false));
  await source.archive.recordProof('p1', proof(50, true));
  assert.deepEqual([(await copy('all')).proved, (await verdict())?.ok], [[], false], 'what was found on the copy itself is not');
});

test('a point whose oplog the copy has lost is told and not copied, keeps nothing waiting, and what may still come keeps its oplog', async (t) => {
  const { scene, source, target, chain, said, copy } = await openPair(t);
  await writeSlices(source.archive, chain, [10, 20, 30, 40, 50].map((t) => begun + t));
  const store = async (id: string, from: number, top: number) => await scene.store(source.archive, id, { a: noise(50_000, from) }, { about: pointAbout, checkpoint: moment(from), top: { ...moment(top), term: 1 } });
  await store('p1', 10, 20);
  await store('p2', 40, 50);
  await source.archive.recordProof('p1', proof(10, false));
  await source.archive.recordProof('p2', proof(10, true));
  const first = await copy('all');
  assert.deepEqual([first.copied.map(({ id }) => id), first.oplogFrom], [['p2-bb'], moment(10)], 'a point that was found bad may be proved yet');

  await emptyCuts(target.archive.parts, (await cutOplog(target.archive.parts, async () => (_, through) => through.t > begun + 30)).full);
  await source.archive.recordProof('p1', proof(20, true));
  assert.deepEqual([(await copy('oplog')).waiting, said], [0, []]);
  const second = await copy('all');
  assert.deepEqual([second.copied, second.failed, second.outOfReach.map(({ point }) => point), second.waiting, second.oplogFrom], [[], [], ['p1'], 0, null]);
  assert.match(said.join(), /restore point p1 was not copied: the copy lacks oplog of/);
  await writeSlices(source.archive, chain, [begun + 60, begun + 70]);
  await store('p3', 60, 70);
  await source.archive.recordProof('p3', proof(30, true));
  const third = await copy('all');
  assert.deepEqual([third.copied.map(({ id, chain: of }) => [id, of]), third.outOfReach.map(({ point }) => point)], [[['p3-bb', chain]], ['p1']], 'it stops no other');
});

test('of a set that was put back the chain of a wanted point is copied, though the one behind it begins before the point', async (t) => {
  const { scene, source, target, chain, copy } = await openPair(t);
  await writeSlices(source.archive, chain, [10, 20, 30, 40].map((t) => begun + t));
  const later = await source.archive.oplog.startChain({ why: 'the set was put back', after: time(begun + 10, 3), previous: chain });
  const writer = await source.archive.oplog.openChainWriter(later, 'a:1');
  writer.append(batchOf([time(begun + 30, 3, 2), time(begun + 50, 3, 2)]));
  await writer.flush();
  await writer.close();
  await copy('all');
  assert.deepEqual((await target.archive.oplog.chains()).chains.map(({ id }) => id), [later], 'no point is of the other one');
  await scene.store(source.archive, 'p1', { a: noise(50_000, 1) }, { about: pointAbout, checkpoint: moment(20), top: { ...moment(30), term: 1 } });
  await source.archive.recordProof('p1', proof(10, true));
  const first = await copy('all');
  assert.deepEqual([first.copied.map(({ id, chain: of }) => [id, of]), first.outOfReach], [[['p1-bb', chain]], []]);
  assert.deepEqual((await target.archive.oplog.chains()).chains.map(({ id }) => id), [chain, later]);
  assert.deepEqual([(await copy('all')).oplog.slices, (await target.archive.oplog.slices(chain)).length], [0, 4]);
});
