import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { objectMissing, objectRetained } from '../../src/repository/failures.ts';
import type { Retention, Storage } from '../../src/repository/storage/storage.ts';

const set = `sets/${'c'.repeat(24)}`;
const day = 86_400_000;

export type LockedPlace = {
  /** Opened for `days`, as whoever writes there. */
  readonly storage: Storage & { readonly retention: Required<Retention> };
  again(): Promise<Storage>;
  /** What whoever has the place's own credentials can do to an object past us: change it, delete it. Each must fail, or change nothing that is read. */
  attack(name: string): Promise<void>;
  /** Lets `days` pass by the clock that counts, where `isTurned`. */
  passDays?(days: number): Promise<void>;
  as<T>(work: () => Promise<T>): Promise<T>;
};

/** What every kind of place promises that claims to lock, at 30 days. */
export function lockConformance(what: string, open: (t: TestContext) => Promise<LockedPlace>, { skip, isTurned }: { skip: string | false; /** Its clock can be turned. */ isTurned: boolean }): void {
  const isRetained = (error: unknown): boolean => isFailure(error, objectRetained) && typeof error.details['until'] === 'string';

  test(`${what}: what is kept can be neither deleted nor changed, by us or with the place's own credentials, and reads as before`, { skip }, async (t) => {
    const { storage, again, attack, as } = await open(t);
    await as(async () => {
      const kept = ['tidemark.json', `${set}/packs/aa/one`, `${set}/points/one`, `${set}/chains/one`, `archives/${'c'.repeat(24)}`];
      const bytes = randomBytes(5000);
      for (const name of kept) {
        if (name.includes('packs')) {
          const writer = await storage.create(name);
          await writer.append(bytes);
          await writer.commit();
        } else assert.equal(await storage.put(name, bytes, 'new'), 'stored');
        await assert.rejects(storage.delete(name), isRetained, name);
        await assert.rejects(storage.put(name, Buffer.from('other'), 'replace'), isRetained, name);
        await attack(name);
        const other = await again();
        assert.ok(Buffer.from(await other.read(name)).equals(bytes), name);
        assert.equal((await other.stat(name))?.bytes, bytes.length);
      }
      const found: string[] = [];
      for await (const { name, bytes: size } of (await again()).list('')) if (size === bytes.length) found.push(name);
      assert.deepEqual(found.sort(), kept.sort());
      const untils = await storage.retention.until(kept);
      for (const untilMs of untils) assert.ok(untilMs! - Date.now() > 29.9 * day && untilMs! - Date.now() < 34 * day, new Date(untilMs!).toISOString());
    });
  });

  test(`${what}: leases, signs, index and trials are not kept, and are replaced and deleted as anywhere`, { skip }, async (t) => {
    const { storage, again, as } = await open(t);
    await as(async () => {
      for (const name of [`${set}/leases/writer-1`, `${set}/oplog/one/writer`, `${set}/index/one`, `${set}/retired/1`, 'tidemark-trial/one']) {
        await storage.put(name, Buffer.from('first'), 'new');
        await storage.put(name, Buffer.from('second'), 'replace');
        assert.equal(Buffer.from(await (await again()).read(name)).toString(), 'second');
        assert.deepEqual(await storage.retention.until([name]), [null]);
        await storage.delete(name);
        assert.equal(await (await again()).stat(name), undefined, name);
        assert.equal(await storage.put(name, Buffer.from('third'), 'new'), 'stored');
        assert.equal(Buffer.from(await storage.read(name)).toString(), 'third');
      }
    });
  });

  test(`${what}: a slice can be withdrawn until it is retained, retaining again shortens nothing, and what is missing is told`, { skip }, async (t) => {
    const { storage, attack, as } = await open(t);
    await as(async () => {
      const slice = `${set}/oplog/one/slices/4f00/aa-bb`;
      await storage.put(slice, Buffer.from('slice'), 'new');
      await storage.delete(slice);
      await storage.put(slice, Buffer.from('slice'), 'new');
      await storage.retention.retain([slice]);
      await assert.rejects(storage.delete(slice), isRetained);
      const [before] = await storage.retention.until([slice]);
      await storage.retention.retain([slice, slice]);
      const [after] = await storage.retention.until([slice]);
      assert.ok(after! >= before! - 1000);
      await attack(slice);
      assert.equal(Buffer.from(await storage.read(slice)).toString(), 'slice');
      assert.equal(await storage.put(slice, Buffer.from('again'), 'new'), 'exists');
      await assert.rejects(storage.retention.retain([`${set}/packs/aa/never`]), (error) => isFailure(error, objectMissing));
    });
  });

  test(`${what}: a large object, which may be written in parts, is kept like a small one`, { skip }, async (t) => {
    const { storage, again, attack, as } = await open(t);
    await as(async () => {
      const name = `${set}/packs/aa/large`;
      const bytes = randomBytes(20 << 20);
      const writer = await storage.create(name);
      for (let at = 0; at < bytes.length; at += 3 << 20) await writer.append(bytes.subarray(at, at + (3 << 20)));
      await writer.commit();
      const [untilMs] = await storage.retention.until([name]);
      assert.ok(untilMs! - Date.now() > 29.9 * day && untilMs! - Date.now() < 34 * day, String(untilMs));
      await assert.rejects(storage.delete(name), isRetained);
      await attack(name);
      assert.ok(Buffer.from(await (await again()).read(name)).equals(bytes));
    });
  });

  if (!isTurned) return;
  test(`${what}: when its time is over, and not before, what was kept can be deleted`, { skip }, async (t) => {
    const { storage, again, passDays, as } = await open(t);
    const name = `${set}/points/one`;
    await as(async () => void (await storage.put(name, Buffer.from('point'), 'new')));
    await passDays!(29);
    await as(async () => await assert.rejects(storage.delete(name), isRetained));
    await passDays!(5);
    await as(async () => {
      assert.deepEqual(await storage.retention.until([name]), [null]);
      await storage.delete(name);
      assert.equal(await (await again()).stat(name), undefined);
    });
  });
}
