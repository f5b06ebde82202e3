/** The task that copies, on the host of the second repository, with the first one behind a data session that may only read. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskOutput } from '../../src/contract/tasks.ts';
import { openArchive } from '../../src/repository/archive.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { noise, openScene, pointAbout, setId } from '../kit/archive-scene.ts';
import { time, writeSlices } from '../kit/oplog-scene.ts';
import { openTwoHosts } from '../kit/two-hosts.ts';

const first = { a: noise(6_000_000, 1), b: Buffer.alloc(300_000, 'some text') };
const second = { ...first, a: Buffer.concat([first.a.subarray(0, 3_000_000), noise(1000, 2), first.a.subarray(3_001_000)]) };

test('a copy between hosts sends only what the second repository lacks, writes nothing into the first, and is whole there', async (t) => {
  const hosts = await openTwoHosts(t);
  const scene = await openScene(t);
  const root = await mkdtemp(join(tmpdir(), 'tm-copy-hosts-'));
  t.after(async () => await rm(root, { recursive: true }));
  const { keyHex } = await hosts.archive(setId);
  const source = await openArchive(await openDirectory(hosts.store), setId, Buffer.from(keyHex, 'hex'));
  const { key } = await makeArchive(await openDirectory(root), Buffer.alloc(32, 3), setId, 'rs0');
  const archive = { location: { kind: 'directory', path: root } as const, secret: null, setId, keyHex: Buffer.from(key).toString('hex') };
  const copy = async (): Promise<{ output: TaskOutput<'copy'>; receivedBytes: number; sentBytes: number }> => {
    const { value, ...counts } = await hosts.served(setId, 'read', async (from) => {
      const task = await hosts.start('node', 'copy', { archive, from, source: { id: 'aa', name: 'first' }, suffix: 'bb', what: 'all', keep: { kind: 'days', days: 30 }, nowMs: Date.now() });
      return await task.output;
    });
    return { output: value, ...counts };
  };

  const begun = Math.floor(Date.now() / 1000) - 3600;
  const facts = { about: pointAbout, checkpoint: time(begun), top: time(begun + 10) };
  await writeSlices(source, await source.oplog.startChain({ why: 'first', after: time(begun), previous: null }), [begun + 10]);
  await scene.store(source, 'p1', first, facts);
  await source.recordProof('p1', { level: 'open', atMs: 1, ok: true, says: 'opened' });
  const before = (await readdir(hosts.store, { recursive: true })).sort();
  const one = await copy();
  assert.deepEqual([one.output.copied.map(({ id, proof }) => [id, proof?.says]), one.output.failed], [[['p1-bb', 'opened (as p1, of which this is the copy)']], []]);
  assert.ok(one.sentBytes > 6_000_000);
  assert.deepEqual((await readdir(hosts.store, { recursive: true })).sort(), before);

  await scene.store(source, 'p2', second, facts);
  await source.recordProof('p2', { level: 'open', atMs: 1, ok: true, says: 'opened' });
  const two = await copy();
  assert.ok(two.sentBytes < 600_000, `${two.sentBytes} bytes were sent for a change of a thousand`);
  const three = await copy();
  assert.deepEqual([three.output.copied, three.output.waiting], [[], 0]);
  const copied = await openArchive(await openDirectory(root), setId, key);
  await scene.requireExact(copied, 'p1-bb', first);
  await scene.requireExact(copied, 'p2-bb', second);
  assert.equal((await copied.check({ readDataPercent: 100, workers: 0 })).ok, true);
});
