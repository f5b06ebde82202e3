import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { noise, openScene, openTestArchive, pointAbout } from '../../test/kit/archive-scene.ts';
import { memoryStorage, type MemoryStorage } from '../../test/kit/memory-storage.ts';
import { batchOf, time } from '../../test/kit/oplog-scene.ts';
import { systemClock } from '../base/clock.ts';
import type { Archive } from '../repository/archive.ts';
import { listSlices } from '../repository/oplog-reader.ts';
import { chooseAt, chooseRestore } from '../domain/restore-choice.ts';
import { surveyChains } from './chain-spans.ts';
import { chainOfPoint } from './point-chain.ts';
import { windowOf } from './window.ts';

const day = 86_400_000;
const nowMs = systemClock.now();
const tail = ({ t, i }: { t: number; i: number }) => ({ t, i });

async function write(archive: Archive, chain: string, term: number, moments: readonly number[]): Promise<void> {
  const writer = await archive.oplog.openChainWriter(chain, 'a:1');
  for (const t of moments) {
    writer.append(batchOf([time(t, 1, term)]));
    await writer.flush();
  }
  await writer.close();
}

/** A: (100, 1000]. The set was put back to 500, and B goes on from there with other entries at the same times. */
async function openPutBack(): Promise<{ archive: Archive; storage: MemoryStorage; a: string; b: string }> {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const a = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await write(archive, a, 1, [200, 500, 600, 710, 900, 1000]);
  const b = await archive.oplog.startChain({ why: 'the set was put back', after: time(500), previous: a });
  await write(archive, b, 2, [600, 710, 800, 2000]);
  return { archive, storage, a, b };
}

const placed = (checkpoint: number, top: number, term: number, createdAtMs: number) => ({ checkpoint: tail(time(checkpoint)), top: time(top, 1, term), createdAtMs });

test('of two histories that hold its times a point is of the one that has its newest entry, whatever the clocks said', async () => {
  const { archive, a, b } = await openPutBack();
  const { spans } = await surveyChains(archive);
  for (const createdAtMs of [0, nowMs - day, nowMs + day]) {
    assert.equal(await chainOfPoint(archive, placed(700, 710, 1, createdAtMs), spans), a);
    assert.equal(await chainOfPoint(archive, placed(700, 710, 2, createdAtMs), spans), b);
  }
  assert.equal(await chainOfPoint(archive, placed(450, 500, 1, nowMs - day), spans), a, 'one of before the two parted is held by the first alone');
  assert.equal(await chainOfPoint(archive, placed(500, 500, 1, 0), spans), a, 'and one of right when they parted was made before the second');
  assert.equal(await chainOfPoint(archive, placed(600, 2500, 2, 0), spans), b, 'a time that neither has yet comes with the chain that grows');
  assert.equal(await chainOfPoint(archive, placed(5000, 5010, 2, 0), spans), null);
});

test('where the newest entry cannot be read a point is of the chain that was there when it was made', async () => {
  const { archive, storage, a, b } = await openPutBack();
  for (const chain of [a, b]) for (const { name, through } of await listSlices(archive.parts, chain)) if (through.t === 710) storage.objects.get(name)!.bytes.fill(0);
  const { spans } = await surveyChains(archive);
  assert.equal(await chainOfPoint(archive, placed(700, 710, 1, 0), spans), a);
  assert.equal(await chainOfPoint(archive, placed(700, 710, 2, nowMs + day), spans), b);
});

async function openTwoHistories(t: TestContext) {
  const opened = await openPutBack();
  const scene = await openScene(t);
  const store = async (id: string, checkpoint: number, top: number, term: number): Promise<void> =>
    void (await scene.store(opened.archive, id, { a: noise(1_000, 1) }, { about: pointAbout, checkpoint: tail(time(checkpoint)), top: time(top, 1, term) }));
  await store('of-a', 700, 710, 1);
  return { ...opened, store };
}

test('a set that was put back: each point leads along its own history, the newer one is meant unless a point is named, and the window says so', async (t) => {
  const { archive, a, b, store } = await openTwoHistories(t);
  const look = async () => {
    const window = await windowOf(archive, 3_000_000);
    return { window, facts: { ...window, points: window.points.map((point) => ({ ...point, proved: true })) } };
  };
  const before = await look();
  assert.deepEqual([before.window.points.map(({ chain }) => chain), before.window.to], [[a], tail(time(1000))], 'no point leads along the newer one');
  assert.deepEqual(before.window.gaps.map(({ after, resumesAt }) => [after.t, resumesAt]), [[1000, null]]);
  assert.match(before.window.gaps[0]!.reason, /^the set was put back; from 500,1 on the times up to 1000,1 are there twice/);

  await store('of-b', 600, 800, 2);
  const { window, facts } = await look();
  assert.deepEqual(window.points.map(({ id, chain }) => [id, chain]), [['of-a', a], ['of-b', b]]);
  assert.deepEqual([window.from, window.to, window.gaps[0]?.resumesAt], [tail(time(600)), tail(time(2000)), tail(time(600))]);
  assert.deepEqual(chooseRestore(facts, { kind: 'time', at: time(900) }), { kind: 'point', point: 'of-b', at: time(900) });
  assert.deepEqual(window.spans.map(({ ownFrom }) => ownFrom), [undefined, tail(time(600))]);
  assert.deepEqual(chooseRestore(facts, { kind: 'latest' }), { kind: 'point', point: 'of-b', at: tail(time(2000)) });
  assert.equal(chooseAt(facts, facts.points[0]!, time(900)).kind, 'point', 'a moment of before, by the point of before');
  assert.equal(chooseAt(facts, facts.points[0]!, time(1001)).kind, 'refused');
  assert.deepEqual(chooseRestore(facts, { kind: 'point', point: 'of-a' }), { kind: 'point', point: 'of-a', at: tail(time(710)) });
});

test('where the newer history has come less far in time, latest is its end', async (t) => {
  const { archive, storage, b, store } = await openTwoHistories(t);
  for (const { name, through } of await listSlices(archive.parts, b)) if (through.t === 2000) storage.objects.delete(name);
  await store('of-b', 600, 710, 2);
  assert.deepEqual((await windowOf(archive, 3_000_000)).to, tail(time(800)));
});

test('up to the first entry that only the newer history has, a time means what was then: the older one', async (t) => {
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const a = await archive.oplog.startChain({ why: 'first', after: time(100), previous: null });
  await write(archive, a, 1, [200, 400, 500, 600, 710, 900, 1000]);
  const b = await archive.oplog.startChain({ why: 'the set was put back', after: time(300), previous: a });
  await write(archive, b, 1, [400, 500]);
  await write(archive, b, 2, [1050, 2000]);
  const scene = await openScene(t);
  const store = async (id: string, checkpoint: number, top: ReturnType<typeof time>): Promise<void> => void (await scene.store(archive, id, { a: noise(1_000, 1) }, { about: pointAbout, checkpoint: tail(time(checkpoint)), top }));
  await store('of-a', 700, time(710));
  await store('of-b', 500, time(1050, 1, 2));
  const window = await windowOf(archive, 3_000_000);
  const facts = { ...window, points: window.points.map((point) => ({ ...point, proved: true })) };
  assert.deepEqual([window.points.map(({ chain }) => chain), window.spans.map(({ ownFrom }) => ownFrom)], [[a, b], [undefined, tail(time(1050))]]);
  const chosen = (at: number) => {
    const choice = chooseRestore(facts, { kind: 'time', at: time(at) });
    return choice.kind === 'point' ? choice.point : choice.kind;
  };
  assert.deepEqual([600, 900, 1000, 1049, 1050, 2000].map(chosen), ['of-b', 'of-a', 'of-a', 'of-b', 'of-b', 'of-b']);
});
