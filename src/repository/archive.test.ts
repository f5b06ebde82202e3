import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { systemClock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import { isFailure } from '../base/failure.ts';
import { openArchive, type Archive, type StoredFile } from './archive.ts';
import { pointMissing } from './failures.ts';
import { randomKey } from './keys.ts';
import { makeArchive } from './repository.ts';
import { sealObject } from './sealed-object.ts';
import { openDirectory } from './storage/directory.ts';

const setId = 'a'.repeat(24);
const MiB = 1 << 20;

async function makeRoom(t: TestContext): Promise<{ path: (name: string) => string; archive: () => Promise<Archive> }> {
  const root = await mkdtemp(join(tmpdir(), 'tm-repository-'));
  t.after(async () => await rm(root, { recursive: true }));
  const master = randomKey();
  const storage = await openDirectory(join(root, 'repository'), { create: true });
  const { key } = await makeArchive(storage, master, setId, 'rs0');
  return { path: (name) => join(root, name), archive: async () => await openArchive(await openDirectory(join(root, 'repository')), setId, key) };
}

const at = { checkpoint: { t: 100, i: 1 }, top: { t: 110, i: 1, term: 1 }, about: { source: 'test' } };

test('what is stored and published comes back byte for byte, read and laid down', async (t) => {
  const { path, archive } = await makeRoom(t);
  const content = Buffer.concat([randomBytes(2 * MiB + 77_777), Buffer.alloc(3 * MiB), Buffer.alloc(500_000, 'tide'), randomBytes(10)]);
  await writeFile(path('source'), content);
  const stored = await archive();
  const writer = await stored.openWriter({ level: 'balanced', workers: 2 });
  const answer = await writer.storeFile({ path: 'a.wt', from: path('source'), bytes: content.length, mode: 0o640 });
  assert.ok(answer.kind === 'stored');
  await writer.publish({ id: 'p1', ...at, files: [answer.file] });
  assert.equal(writer.counts.processed, content.length);
  await writer.close();

  const opened = await archive();
  const point = await opened.point('p1');
  assert.deepEqual((await opened.points()).map(({ id }) => id), ['p1']);
  const reader = await opened.openReader({ workers: 2 });
  t.after(async () => await reader.close());
  assert.deepEqual(await reader.missingChunks(point), []);
  const file = await reader.openFile(point.files[0]!);
  assert.ok(Buffer.from(await file.read(0, content.length + 5)).equals(content));
  assert.ok(Buffer.from(await file.read(MiB - 100, 70_000)).equals(content.subarray(MiB - 100, MiB + 69_900)));
  await reader.layFile(point.files[0]!, path('laid'));
  assert.ok((await readFile(path('laid'))).equals(content));
  const laid = await stat(path('laid'));
  assert.equal(laid.mode & 0o777, 0o640);
  assert.ok(laid.blocks * 512 < content.length - 2 * MiB, 'zeros take no space');
});

test('a second backup of the same file stores next to nothing, and of a changed file its changed frames', async (t) => {
  const { path, archive } = await makeRoom(t);
  const content = randomBytes(4 * MiB);
  await writeFile(path('source'), content);
  const store = async (id: string) => {
    const writer = await (await archive()).openWriter({ level: 'fast', workers: 1 });
    const base = (await (await archive()).points()).at(-1)?.files[0];
    const answer = await writer.storeFile({ path: 'a', from: path('source'), bytes: content.length, mode: 0o600, base });
    assert.ok(answer.kind === 'stored');
    await writer.publish({ id, ...at, files: [answer.file] });
    await writer.close();
    return writer.counts;
  };
  assert.ok((await store('p1')).stored > 4 * MiB);
  assert.equal((await store('p2')).transferred, 0);
  content.fill(7, 2 * MiB + 70_000, 2 * MiB + 70_010);
  await writeFile(path('source'), content);
  const third = await store('p3');
  assert.ok(third.transferred > 64 << 10 && third.transferred < 66 << 10, `${third.transferred} bytes for one frame`);
  const opened = await archive();
  const reader = await opened.openReader({ workers: 1 });
  t.after(async () => await reader.close());
  const file = await reader.openFile((await opened.point('p3')).files[0]!);
  assert.ok(Buffer.from(await file.read(0, content.length)).equals(content));
});

test('with the changed ranges given, nothing else is read, and what was not changed is taken over', async (t) => {
  const { path, archive } = await makeRoom(t);
  const content = randomBytes(5 * MiB + 1000);
  await writeFile(path('source'), content);
  const writer = await (await archive()).openWriter({ level: 'fast', workers: 2 });
  t.after(async () => await writer.close());
  const first = await writer.storeFile({ path: 'a', from: path('source'), bytes: content.length, mode: 0o600 });
  assert.ok(first.kind === 'stored');
  await writer.flush();
  const before = writer.counts.read;
  content.fill(1, 3 * MiB + 5, 3 * MiB + 100);
  await writeFile(path('source'), content);
  const second = await writer.storeFile({ path: 'a', from: path('source'), bytes: content.length, mode: 0o600, base: first.file, changed: [{ from: 3 * MiB, bytes: 4096 }] });
  assert.ok(second.kind === 'stored');
  assert.equal(writer.counts.read - before, 64 << 10);
  await writer.publish({ id: 'p', ...at, files: [second.file] });
  const opened = await archive();
  const reader = await opened.openReader({ workers: 1 });
  t.after(async () => await reader.close());
  await reader.layFile(second.file, path('laid'));
  assert.ok((await readFile(path('laid'))).equals(content));
});

test('a file that is gone is an answer, and an unknown point a failure', async (t) => {
  const { path, archive } = await makeRoom(t);
  const stored = await archive();
  const writer = await stored.openWriter({ level: 'none', workers: 1 });
  t.after(async () => await writer.close());
  assert.deepEqual(await writer.storeFile({ path: 'a', from: path('nothing'), bytes: 10, mode: 0o600 }), { kind: 'vanished' });
  await assert.rejects(stored.point('p9'), (error) => isFailure(error, pointMissing));
});

test('a file that is changed again and again, by ranges or by reading all, always comes back as it is', async (t) => {
  const { path, archive } = await makeRoom(t);
  const seed = Number(process.hrtime.bigint() % 1_000_000n);
  t.diagnostic(`seed ${seed}`);
  const stored = await archive();
  const change = fc.record({ from: fc.nat(3 * MiB), bytes: fc.integer({ min: 1, max: 200_000 }), fill: fc.integer({ min: 0, max: 3 }) });
  const round = fc.record({ changes: fc.array(change, { maxLength: 4 }), ranges: fc.boolean(), size: fc.option(fc.integer({ min: 1, max: 3 * MiB }), { nil: undefined }), flush: fc.boolean() });
  let runs = 0;
  const property = fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 6 }), async (rounds) => {
    const run = ++runs;
    let content = randomBytes(2 * MiB + 500);
    const writer = await stored.openWriter({ level: 'fast', workers: 0, packBytes: MiB });
    let base: StoredFile | undefined;
    const kept: { file: StoredFile; content: Buffer }[] = [];
    try {
      for (const { changes, ranges, size, flush } of rounds) {
        const before = content.length;
        if (size !== undefined) content = Buffer.concat([content.subarray(0, size), randomBytes(Math.max(0, size - content.length))]);
        const changed = changes.map(({ from, bytes, fill }) => {
          if (from < content.length) content.fill(fill, from, Math.min(from + bytes, content.length));
          return { from, bytes };
        });
        if (content.length !== before) changed.push({ from: Math.min(before, content.length), bytes: content.length });
        await writeFile(path('source'), content);
        const answer = await writer.storeFile({ path: 'a', from: path('source'), bytes: content.length, mode: 0o600, base, changed: ranges && base !== undefined ? changed : undefined });
        assert.ok(answer.kind === 'stored');
        base = answer.file;
        kept.push({ file: answer.file, content: Buffer.from(content) });
        if (flush) await writer.flush();
      }
      await writer.publish({ id: `run-${run}`, ...at, files: [base!] });
    } finally {
      await writer.close();
    }
    const reader = await stored.openReader({ workers: 0, cacheBytes: 0 });
    for (const { file, content: expected } of kept) assert.ok(expected.equals(await (await reader.openFile(file)).read(0, expected.length)));
    await reader.close();
  });
  await fc.assert(property, { seed, numRuns: 12 });
});

test('where the repository is slow, the repository is what holds a storing up', async (t) => {
  const { path } = await makeRoom(t);
  const storage = memoryStorage();
  const slow: typeof storage = { ...storage, create: async (name) => {
    const writer = await storage.create(name);
    return { ...writer, append: async (bytes) => {
      await systemClock.wait(400);
      await writer.append(bytes);
    } };
  } };
  const { key } = await makeArchive(storage, randomKey(), setId, 'rs0');
  const archive = await openArchive(slow, setId, key);
  await writeFile(path('source'), randomBytes(8 * MiB));
  const seen = new Set<string | null>();
  const writer = await archive.openWriter({ level: 'balanced', workers: 1, onProgress: () => void seen.add(writer.slowest()) });
  t.after(async () => await writer.close());
  await writer.storeFile({ path: 'a.wt', from: path('source'), bytes: 8 * MiB, mode: 0o640 });
  assert.deepEqual([...seen].filter((stage) => stage !== null), ['write']);
});

test('a proof stands behind every one that was there, though the clock was days ahead when those were made', async () => {
  const storage = memoryStorage();
  const { key } = await makeArchive(storage, randomKey(), setId, 'rs0');
  const archive = await openArchive(storage, setId, key);
  const { names, keys } = archive.parts;
  const ahead = names.proof('p1', sortableId({ ...systemClock, now: () => systemClock.now() + 2 * 86_400_000 }));
  await storage.put(ahead, sealObject(keys.object, ahead, 'while the clock was ahead'), 'new');
  await archive.recordProof('p1', 'then');
  await archive.recordProof('p1', 'and then');
  assert.deepEqual((await archive.proofs('p1')).proofs, ['while the clock was ahead', 'then', 'and then']);
});
