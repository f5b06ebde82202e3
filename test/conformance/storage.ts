import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { objectMissing, objectRetained, objectShort } from '../../src/repository/failures.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';

type Place = {
  readonly storage: Storage;
  /** The same place a second time. */
  again(): Promise<Storage>;
  /** Works as whoever writes there. */
  as?(work: () => Promise<void>): Promise<void>;
};

export type StorageOptions = {
  /** Objects that are listed. */
  readonly many?: number;
  /** All that is put is kept for days: nobody replaces or deletes it before. */
  readonly isKept?: boolean;
};

/** What every storage promises. `open` gives an empty one. */
export function storageConformance(what: string, open: (t: TestContext) => Promise<Place>, { many = 300, isKept = false }: StorageOptions = {}): void {
  const promises = (says: string, keeps: (place: Place) => Promise<void>): void => {
    test(`${what}: ${says}`, async (t) => {
      const place = await open(t);
      await (place.as ?? (async (work) => await work()))(async () => await keeps(place));
    });
  };
  const isRefused = (error: unknown): boolean => isFailure(error, objectRetained) && typeof error.details['until'] === 'string';
  /** Whether it is gone; what is kept is refused, and there. */
  const deleted = async (storage: Storage, name: string): Promise<void> => {
    if (isKept) await assert.rejects(storage.delete(name), isRefused, name);
    else await storage.delete(name);
  };
  const names = async (storage: Storage, prefix: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of storage.list(prefix)) found.push(name);
    return found.sort();
  };

  promises('what was put is there whole, for others too, and a range of it is exactly that range', async ({ storage, again }) => {
    const bytes = randomBytes(100_000);
    assert.equal(await storage.put('a/b/one', bytes, 'new'), 'stored');
    for (const one of [storage, await again()]) {
      assert.ok(Buffer.from(await one.read('a/b/one')).equals(bytes));
      assert.ok(Buffer.from(await one.read('a/b/one', { from: 70_000, bytes: 123 })).equals(bytes.subarray(70_000, 70_123)));
      assert.equal((await one.read('a/b/one', { from: 100_000, bytes: 0 })).length, 0);
      assert.equal((await one.stat('a/b/one'))?.bytes, 100_000);
    }
  });

  promises('what was read has memory of its own, which may be given away', async ({ storage }) => {
    await storage.put('a/1', Buffer.from('abcdef'), 'new');
    const [first, second] = await Promise.all([storage.read('a/1', { from: 0, bytes: 3 }), storage.read('a/1', { from: 3, bytes: 3 })]);
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
    assert.equal(Buffer.from(second).toString(), 'def');
  });

  promises('a missing object and a range beyond the end are failures with their own codes', async ({ storage }) => {
    await storage.put('x', randomBytes(10), 'new');
    await assert.rejects(storage.read('y'), (error) => isFailure(error, objectMissing));
    await assert.rejects(storage.read('y', { from: 0, bytes: 1 }), (error) => isFailure(error, objectMissing));
    await assert.rejects(storage.read('x/y'), (error) => isFailure(error, objectMissing));
    await assert.rejects(storage.read('x', { from: 5, bytes: 6 }), (error) => isFailure(error, objectShort));
    assert.equal(await storage.stat('y'), undefined);
  });

  promises('"new" never replaces, "replace" always does but for what is kept, and of ten at once exactly one is stored', async ({ storage }) => {
    const answers = await Promise.all(Array.from({ length: 10 }, async (_, k) => await storage.put('lock', Buffer.from([k]), 'new')));
    assert.equal(answers.filter((answer) => answer === 'stored').length, 1);
    const winner = answers.indexOf('stored');
    assert.deepEqual([...(await storage.read('lock'))], [winner]);
    assert.equal(await storage.put('lock', Buffer.from([77]), 'new'), 'exists');
    assert.deepEqual([...(await storage.read('lock'))], [winner]);
    if (isKept) await assert.rejects(storage.put('lock', Buffer.from([77, 78]), 'replace'), isRefused);
    else assert.equal(await storage.put('lock', Buffer.from([77, 78]), 'replace'), 'stored');
    assert.deepEqual([...(await storage.read('lock'))], isKept ? [winner] : [77, 78]);
  });

  promises('an object that is being written is invisible until it is committed', async ({ storage, again }) => {
    const writer = await storage.create('packs/aa/one');
    await writer.append(randomBytes(1000));
    assert.equal(await storage.stat('packs/aa/one'), undefined);
    assert.deepEqual(await names(await again(), ''), []);
    await writer.append(randomBytes(500));
    await writer.commit();
    assert.equal((await (await again()).stat('packs/aa/one'))?.bytes, 1500);
    const dropped = await storage.create('packs/aa/two');
    await dropped.append(randomBytes(10));
    await dropped.abort();
    await dropped.abort();
    assert.deepEqual(await names(storage, ''), ['packs/aa/one']);
  });

  promises('appended bytes may be changed by the caller afterwards', async ({ storage }) => {
    const writer = await storage.create('one');
    const bytes = Buffer.alloc(100_000, 1);
    await writer.append(bytes);
    bytes.fill(2);
    await writer.append(bytes.subarray(0, 10));
    await writer.commit();
    const got = await storage.read('one');
    assert.deepEqual([got.length, got[0], got[99_999], got[100_000]], [100_010, 1, 1, 2]);
  });

  promises('a list has every object under its prefix, at any depth, with its size, and nothing else', async ({ storage }) => {
    for (const name of ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4', 'b/5']) await storage.put(name, Buffer.alloc(name.length), 'new');
    assert.deepEqual(await names(storage, ''), ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4', 'b/5']);
    assert.deepEqual(await names(storage, 'a/'), ['a/1', 'a/b/2', 'a/b/c/3']);
    assert.deepEqual(await names(storage, 'a'), ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4']);
    assert.deepEqual(await names(storage, 'a/b/2'), ['a/b/2']);
    assert.deepEqual(await names(storage, 'nothing/here/'), []);
    for await (const { name, bytes, modifiedMs } of storage.list('a/')) assert.ok(bytes === name.length && modifiedMs > 1e12);
  });

  promises('a deleted object is gone, one that is kept stays and says until when, and deleting what is not there is fine', async ({ storage, again }) => {
    await storage.put('a/1', Buffer.alloc(10), 'new');
    await storage.read('a/1', { from: 0, bytes: 5 });
    await deleted(storage, 'a/1');
    await deleted(storage, 'a/1');
    await storage.delete('never/was');
    assert.deepEqual(await names(storage, ''), isKept ? ['a/1'] : []);
    if (isKept) {
      assert.deepEqual(Buffer.from(await (await again()).read('a/1')), Buffer.alloc(10));
      assert.equal(await storage.put('a/1', Buffer.alloc(3), 'new'), 'exists');
    } else {
      await assert.rejects(storage.read('a/1', { from: 0, bytes: 5 }), (error) => isFailure(error, objectMissing));
      assert.equal(await storage.put('a/1', Buffer.alloc(3), 'new'), 'stored');
    }
  });

  promises('a large object written in uneven pieces is exactly those pieces, beside another one that is given up', async ({ storage, again }) => {
    const sizes = [1, 70_000, 5 << 20, 8 << 20, 3, (9 << 20) + 7, 100];
    const bytes = randomBytes(sizes.reduce((sum, size) => sum + size, 0));
    const [writer, dropped] = [await storage.create('packs/aa/one'), await storage.create('packs/aa/two')];
    let at = 0;
    for (const size of sizes) {
      await writer.append(bytes.subarray(at, at + size));
      await dropped.append(bytes.subarray(at, at + size));
      at += size;
    }
    assert.deepEqual(await names(await again(), ''), []);
    await dropped.abort();
    await writer.commit();
    const other = await again();
    assert.deepEqual(await names(other, ''), ['packs/aa/one']);
    assert.ok(Buffer.from(await other.read('packs/aa/one')).equals(bytes));
    for (const from of [0, (8 << 20) - 10, bytes.length - 20]) assert.ok(Buffer.from(await other.read('packs/aa/one', { from, bytes: 20 })).equals(bytes.subarray(from, from + 20)), `at ${from}`);
  });

  promises('two writers of different objects at once do not mix, and an empty object is one', async ({ storage, again }) => {
    const contents = Array.from({ length: 8 }, (_, k) => randomBytes(k * 40_001));
    const other = await again();
    await Promise.all(
      contents.map(async (bytes, k) => {
        const writer = await (k % 2 === 0 ? storage : other).create(`at/once/${k}`);
        for (let at = 0; at < bytes.length; at += 50_000) await writer.append(bytes.subarray(at, at + 50_000));
        await writer.commit();
      }),
    );
    for (const [k, bytes] of contents.entries()) assert.ok(Buffer.from(await storage.read(`at/once/${k}`)).equals(bytes), String(k));
  });

  promises('a list of many objects misses none and has none twice, also while others come and go', async ({ storage, again }) => {
    const inAll = Array.from({ length: many }, (_, k) => `many/${(k % 7).toString()}/${k.toString().padStart(6, '0')}`);
    for (let from = 0; from < many; from += 32) await Promise.all(inAll.slice(from, from + 32).map(async (name) => await storage.put(name, Buffer.from('x'), 'new')));
    const other = await again();
    const [listed] = await Promise.all([
      names(other, 'many/'),
      (async () => {
        for (let k = 0; k < 20; k++) {
          await storage.put(`many/3/passing-${k}`, Buffer.from('x'), 'new');
          await deleted(storage, `many/3/passing-${k}`);
        }
      })(),
    ]);
    const steady = listed.filter((name) => !name.includes('passing'));
    assert.deepEqual(steady, inAll.toSorted());
  });

  promises('what was written half and given up, by one or by many at once, is never there and leaves its names free', async ({ storage, again }) => {
    const half = async (k: number): Promise<void> => {
      const writer = await storage.create(`half/${k}`);
      await writer.append(randomBytes(100_000));
      await writer.abort();
    };
    await Promise.all(Array.from({ length: 8 }, async (_, k) => await half(k)));
    assert.deepEqual(await names(await again(), ''), []);
    for (const k of [0, 7]) {
      await assert.rejects(storage.read(`half/${k}`), (error) => isFailure(error, objectMissing));
      assert.equal(await storage.put(`half/${k}`, Buffer.from('whole'), 'new'), 'stored');
    }
    assert.deepEqual(await names(storage, ''), ['half/0', 'half/7']);
  });

  promises('an answer that was lost may be asked for again: "new" says exists and changes nothing, a deletion is done, a replacement is the last one', async ({ storage, again }) => {
    assert.equal(await storage.put('a/1', Buffer.from('first'), 'new'), 'stored');
    const other = await again();
    assert.equal(await other.put('a/1', Buffer.from('first'), 'new'), 'exists');
    // By the one that made it: a data channel lets nobody else replace.
    for (let k = 0; k < 3 && !isKept; k++) {
      assert.equal(await storage.put('a/sign', Buffer.from('same'), 'replace'), 'stored');
      assert.equal(Buffer.from(await other.read('a/sign')).toString(), 'same');
    }
    await deleted(storage, 'a/1');
    await deleted(storage, 'a/1');
    assert.deepEqual(await names(storage, ''), [isKept ? 'a/1' : 'a/sign']);
  });

  promises('the place\'s own clock is near: what is stored now is not of another hour', async ({ storage }) => {
    const before = Date.now();
    await storage.put('now', Buffer.from('x'), 'new');
    const { modifiedMs } = (await storage.stat('now'))!;
    assert.ok(modifiedMs > before - 5_000 && modifiedMs < Date.now() + 5_000, `${modifiedMs - before} ms apart`);
  });
}
