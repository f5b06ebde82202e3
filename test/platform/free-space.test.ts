/** What a checkpoint does not use is not stored: that it is never missed, on files whose blocks move all the time. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Document } from 'mongodb';
import { silentLog } from '../../src/base/log.ts';
import { takeCopy, type Copy } from '../../src/mongo/copy/ladder.ts';
import { readFreeSpace } from '../../src/mongo/wiredtiger/free-space.ts';
import { openVault, type Vault } from '../kit/copy-vault.ts';
import { openLoopFileSystem, whyNoLoops, type LoopFileSystem } from '../kit/file-system.ts';
import { openCopy } from '../kit/opened-copy.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

const guardian = [process.execPath, new URL('../../src/main/guardian.ts', import.meta.url).pathname];
const skip = whyNoLoops('xfs');
const documents = 60_000;

let volume: LoopFileSystem;
let work: string;
let set: ReplicaSet;

before(async () => {
  if (skip !== false) return;
  work = mkdtempSync(join(tmpdir(), 'tm-free-'));
  volume = await openLoopFileSystem('xfs', 3072);
  // A small cache: blocks are written long before the checkpoint that uses them.
  set = await openReplicaSet({ members: 1, dbPaths: [join(volume.path, 'data')], oplogSizeMb: 990, cacheGb: 0.25 });
});

after(async () => {
  await set?.stop();
  await volume?.[Symbol.asyncDispose]();
  if (work !== undefined) rmSync(work, { recursive: true, force: true });
});

const seed = Number(process.env['TIDEMARK_SEED'] ?? Date.now() % 1_000_000);
let state = seed;
const random = (below: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
/** Text that does not compress away. */
const text = (): string => Array.from({ length: 300 }, () => random(2 ** 32).toString(36)).join('');

async function insertAll(): Promise<void> {
  await using client = await set.client();
  for (let at = 0; at < documents; at += 1000) await client.db('shop').collection<Document & { _id: number }>('items').insertMany(Array.from({ length: 1000 }, (_, k) => ({ _id: at + k, text: text() })));
}

async function rewriteAtRandom(count: number): Promise<void> {
  await using client = await set.client();
  const items = client.db('shop').collection<Document & { _id: number }>('items');
  for (let done = 0; done < count; done += 500) {
    await items.bulkWrite(Array.from({ length: 500 }, () => ({ updateOne: { filter: { _id: random(documents) }, update: { $set: { text: text() } } } })), { ordered: false });
  }
}

async function checkpoint(): Promise<void> {
  await using client = await set.client();
  await client.db('admin').command({ fsync: 1 });
}

async function clone(store: Vault['store'], previous?: unknown): Promise<Copy> {
  await using client = await set.members[0]!.client();
  const { address, dbPath } = set.members[0]!;
  const copy = await takeCopy(
    { client, address, local: { dbPath }, workDirectory: join(work, 'state'), method: 'clone', previous, keepClone: true, guardianProgram: guardian, log: silentLog, signal: AbortSignal.timeout(120_000) },
    store,
  );
  await copy.published();
  return copy;
}

async function assertWhole(copy: Copy, vault: Vault): Promise<void> {
  const dbPath = join(work, 'opened');
  await vault.lay(copy.files, dbPath);
  let found = 0;
  const { invalid } = await openCopy({ binary: set.binary, dbPath, socketDir: join(work, 's') }, async (client) => void (found = await client.db('shop').collection('items').countDocuments({ text: /./ })));
  rmSync(dbPath, { recursive: true });
  rmSync(`${dbPath}.log`);
  assert.deepEqual(invalid, []);
  assert.equal(found, documents);
}

test('a block that mongod wrote into free space before the copy, and uses after it, is stored by the next copy', { skip }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  await insertAll();
  await rewriteAtRandom(20_000);
  await checkpoint();
  await using client = await set.client();
  await client.db('admin').command({ setParameter: 1, syncdelay: 3000 });
  // Evicted into what the checkpoint before calls free; the checkpoint that uses it comes after the copy.
  await rewriteAtRandom(20_000);
  const vault = openVault(join(work, 'vault'));
  const first = await clone(vault.store);
  assert.ok(vault.passes.at(-1)!.freeBytes > 10 << 20, `${vault.passes.at(-1)!.freeBytes} bytes are free`);
  await checkpoint();
  const second = await clone(vault.store, JSON.parse(JSON.stringify(first.remembered)));
  t.diagnostic(JSON.stringify(vault.passes));
  await assertWhole(second, vault);
});

test('a list or metadata that is not exactly as it was written says that nothing is free', { skip }, async () => {
  const vault = openVault(join(work, 'damaged'));
  await clone(vault.store);
  const find = (path: string): string | undefined => (existsSync(join(vault.directory, path)) ? join(vault.directory, path) : undefined);
  const path = readdirSync(vault.directory).filter((name) => name.startsWith('collection-')).sort((a, b) => statSync(join(vault.directory, b)).size - statSync(join(vault.directory, a)).size)[0]!;
  const freeIn = async (): Promise<number> => (await (await readFreeSpace(find)).rangesOf(path)).length;
  assert.ok((await freeIn()) > 1);
  const sound = readFileSync(join(vault.directory, path));
  const damaged = Buffer.from(sound);
  for (let at = 64; at < damaged.length; at += 4096) damaged[at]! ^= 1;
  writeFileSync(join(vault.directory, path), damaged);
  assert.equal(await freeIn(), 0);
  writeFileSync(join(vault.directory, path), sound);
  const metadata = readFileSync(join(vault.directory, 'WiredTiger.wt'));
  for (let at = 64; at < metadata.length; at += 4096) metadata[at]! ^= 1;
  writeFileSync(join(vault.directory, 'WiredTiger.wt'), metadata);
  assert.equal(await freeIn(), 0);
});
