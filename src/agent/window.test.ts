import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, openScene, openTestArchive, pointAbout } from '../../test/kit/archive-scene.ts';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { time, writeSlices } from '../../test/kit/oplog-scene.ts';
import { chooseRestore } from '../domain/restore-choice.ts';
import { listParts } from '../repository/oplog-reader.ts';
import { archivedBytes, windowOf } from './window.ts';

const at = (t: number): { t: number; i: number } => ({ t, i: 1 });

test('the room for a replay counts every slice that holds an entry of the range, and no other', () => {
  const slices = [10, 20, 30, 40].map((t, k) => ({ after: at(t), through: at(t + 10), bytes: 10 ** k, isCut: false }));
  assert.equal(archivedBytes(slices, at(20), at(40)), 110);
  assert.equal(archivedBytes(slices, at(19), at(41)), 1111);
  assert.equal(archivedBytes(slices, at(25), at(25)), 10);
  assert.equal(archivedBytes(slices, at(20), at(20)), 0);
});

test('the window ends before a barrier and tells what lies behind as a gap, until a later restore point has it go on', async (t) => {
  const scene = await openScene(t);
  const archive = await openTestArchive(memoryStorage());
  const entry = (seconds: number) => ({ ...at(seconds), term: 1 });
  const archiveUpTo = async (seconds: number, chain: string): Promise<void> => {
    await using writer = Object.assign(await archive.oplog.openChainWriter(chain, 'n1'), { [Symbol.asyncDispose]: async () => await writer.close() });
    writer.append({ first: entry(seconds), last: entry(seconds), count: 1, bytes: noise(500, seconds) });
    await writer.flush();
  };
  const store = async (id: string, checkpoint: number): Promise<void> => void (await scene.store(archive, id, { a: noise(1_000, 1) }, { about: pointAbout, checkpoint: at(checkpoint), top: entry(checkpoint + 2) }));
  const look = async () => {
    const window = await windowOf(archive, 300_000);
    const latest = chooseRestore({ points: window.points.map((point) => ({ ...point, proved: null })), spans: window.spans, barriers: window.barriers }, { kind: 'latest' });
    assert.deepEqual(latest.at, window.to, 'a restore goes where the window says');
    return window;
  };
  const first = await archive.oplog.startChain({ why: 'first', after: entry(100), previous: null });
  await store('p1', 110);
  await archive.oplog.addBarrier(first, entry(140), 'setFeatureCompatibilityVersion');
  await archiveUpTo(200, first);
  const barred = await look();
  assert.deepEqual([barred.to, barred.lossIfDisasterNowSeconds], [{ t: 140, i: 0 }, 160]);
  assert.deepEqual(barred.gaps, [{ after: { t: 140, i: 0 }, resumesAt: null, reason: 'setFeatureCompatibilityVersion at 140,1 cannot be replayed over' }]);

  await store('p2', 180);
  const again = await look();
  assert.deepEqual([again.to, again.gaps[0]?.resumesAt], [at(200), at(180)]);

  const second = await archive.oplog.startChain({ why: 'rolled over', after: entry(220), previous: first });
  await archiveUpTo(280, second);
  const broken = await look();
  assert.deepEqual([broken.to, broken.lossIfDisasterNowSeconds], [at(200), 100]);
  assert.deepEqual(broken.gaps[1], { after: at(200), resumesAt: null, reason: 'rolled over' });
  await store('p3', 250);
  assert.deepEqual((await look()).gaps.map(({ resumesAt }) => resumesAt), [at(180), at(250)]);
});

test('a slice that is gone hides nothing behind it: what is missing is told, points behind it lead to the end, and those before it up to it', async (t) => {
  const scene = await openScene(t);
  const storage = memoryStorage();
  const archive = await openTestArchive(storage);
  const chain = await archive.oplog.startChain({ why: 'first', after: time(10, 3), previous: null });
  await writeSlices(archive, chain, [20, 30, 40, 50, 60]);
  const gone = async (from: number): Promise<void> => void storage.objects.delete((await listParts(archive.parts, chain)).find(({ after }) => after.t === from)!.name);
  const store = async (id: string, checkpoint: number): Promise<void> => void (await scene.store(archive, id, { a: noise(1_000, 1) }, { about: pointAbout, checkpoint: at(checkpoint), top: time(checkpoint + 1) }));
  await store('p1', 15);
  await gone(30);
  const hole = { object: archive.parts.names.slices(chain), what: 'entries from 30,3 to 40,3 are missing', point: null };
  const before = await windowOf(archive, 300_000);
  assert.deepEqual([before.to, before.damaged], [{ t: 30, i: 3 }, [hole]]);
  await store('p2', 45);
  const window = await windowOf(archive, 300_000);
  assert.deepEqual([window.to, window.points.map((point) => point.chain), window.spans.map(({ after, through }) => [after.t, through.t])], [{ t: 60, i: 3 }, [chain, chain], [[10, 30], [40, 60]]]);
  assert.deepEqual(window.gaps, [{ after: { t: 30, i: 3 }, resumesAt: at(45), reason: 'archived oplog is missing in the repository' }]);
  await gone(10);
  assert.deepEqual((await windowOf(archive, 300_000)).spans.map(({ after, through }) => [after.t, through.t]), [[20, 30], [40, 60]], 'the first one, too');
});

test('an archive of many points, where each answer takes its time, is read many at a time', async (t) => {
  const scene = await openScene(t);
  const memory = memoryStorage();
  const archive = await openTestArchive(memory);
  for (let k = 0; k < 20; k++) {
    await scene.store(archive, `p${k}`, { a: noise(1_000, 1) }, { about: pointAbout, checkpoint: at(10 + k), top: { ...at(12 + k), term: 1 } });
    await archive.recordProof(`p${k}`, { level: 'open', atMs: k, ok: true, says: 'x' });
  }
  let [reading, most] = [0, 0];
  const counted: typeof memory.read = async (...asked) => {
    most = Math.max(most, ++reading);
    // The others of its kind get their turn to begin.
    await new Promise(setImmediate);
    reading--;
    return await memory.read(...asked);
  };
  const window = await windowOf(await openTestArchive({ ...memory, read: counted }), 300_000);
  assert.deepEqual([window.points.length, window.points.every(({ proof }) => proof?.ok === true), most], [20, true, 16]);
});
