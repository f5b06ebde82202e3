import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { openArchive, type Archive } from '../../src/repository/archive.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { noise, openScene, setId } from '../kit/archive-scene.ts';

export type LaggingPlace = {
  /** As another host sees it: its lists are new. */
  readonly direct: Storage;
  /** Its lists are those of the moment of `hold`, until `release`. */
  readonly lagging: Storage;
  hold(): Promise<void>;
  release(): void;
  /** Lists that were answered with an old state. */
  readonly oldLists: number;
};

/** What holds of an archive in a place whose lists are an earlier state of it. */
export function laggingConformance(what: string, open: (t: TestContext) => Promise<LaggingPlace>, { skip }: { skip?: string | false } = {}): void {
  const contents = { 'a.wt': noise(1 << 20, 1), 'b.wt': noise(1 << 19, 2) };
  const others = { 'a.wt': noise(1 << 20, 3), 'b.wt': noise(1 << 19, 4) };
  const openBoth = async (t: TestContext): Promise<{ place: LaggingPlace; direct: Archive; late: Archive; scene: Awaited<ReturnType<typeof openScene>> }> => {
    const place = await open(t);
    const { key } = await makeArchive(place.direct, Buffer.alloc(32, 9), setId, 'rs0');
    return { place, direct: await openArchive(place.direct, setId, key), late: await openArchive(place.lagging, setId, key), scene: await openScene(t) };
  };
  /** The work begins while lists are old, and ends when they are not. */
  const whileOld = async <T>(place: LaggingPlace, work: Promise<T>, meanwhile: () => Promise<void> | void = () => {}): Promise<T> => {
    work.catch(() => {});
    const before = place.oldLists;
    await until('three old lists', 20_000, () => (place.oldLists >= before + 3 ? true : undefined), { everyMs: 10 });
    await meanwhile();
    place.release();
    return await work;
  };

  test(`${what}: a point whose packs no list has yet is opened by its name, waits until they are listed, and is exact`, { skip }, async (t) => {
    const { place, direct, late, scene } = await openBoth(t);
    await scene.store(direct, 'one', contents);
    await place.hold();
    await scene.store(direct, 'two', others);
    await scene.requireExact(late, 'one', contents);
    assert.deepEqual((await late.points()).map(({ id }) => id), ['one']);
    await whileOld(place, scene.requireExact(late, 'two', others));
  });

  test(`${what}: a check by old lists finds the archive as it was, and no damage`, { skip }, async (t) => {
    const { place, direct, late, scene } = await openBoth(t);
    await scene.store(direct, 'one', contents);
    await place.hold();
    await scene.store(direct, 'two', others);
    const report = await late.check({ readDataPercent: 100 });
    assert.deepEqual([report.ok, report.points, report.damage], [true, 1, []]);
    place.release();
    assert.deepEqual([(await late.check({ readDataPercent: 100 })).points], [2]);
  });

  test(`${what}: a sweep deletes nothing by an old list: a point that no list had when it began keeps all it needs`, { skip }, async (t) => {
    const { place, direct, late, scene } = await openBoth(t);
    await scene.store(direct, 'one', contents);
    await scene.store(direct, 'none', others);
    await direct.deletePoint('one');
    await place.hold();
    // Built on the packs of a point that is deleted: by the old list nobody needs them.
    const { counts } = await scene.store(direct, 'two', contents);
    assert.ok(counts.transferred < 1 << 20, `${counts.transferred} bytes were sent anew`);
    await whileOld(place, late.sweep());
    await scene.requireExact(direct, 'two', contents);
    await scene.requireExact(late, 'two', contents);
    assert.equal((await direct.check({ readDataPercent: 100 })).ok, true);
  });

  test(`${what}: a writer that cannot see what a sweep retired waits until it can, and builds on none of it`, { skip }, async (t) => {
    const { place, direct, late, scene } = await openBoth(t);
    await scene.store(direct, 'one', contents);
    await direct.deletePoint('one');
    await place.hold();
    await whileOld(place, scene.store(late, 'two', contents), async () => void (await direct.sweep({ waitMs: 0 })));
    await direct.sweep();
    await scene.requireExact(direct, 'two', contents);
  });
}
