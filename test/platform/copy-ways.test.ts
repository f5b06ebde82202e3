/** Every way of copying a member, on a real set under load: the copy opens, nothing acknowledged is missing, C is exact. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compareTimes } from '../../src/base/cluster-time.ts';
import { silentLog } from '../../src/base/log.ts';
import type { ByteRange } from '../../src/mongo/copy/extents.ts';
import { probeCopy, takeCopy, type Copy, type CopyMethod, type FileToRead } from '../../src/mongo/copy/ladder.ts';
import { openVault, type Vault } from '../kit/copy-vault.ts';
import { openLoopFileSystem, whyNoLoops, type LoopFileSystem } from '../kit/file-system.ts';
import { openCopy } from '../kit/opened-copy.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from '../kit/replica-set.ts';
import { startLoad, type WriteLoad } from '../kit/write-load.ts';

const guardian = [process.execPath, new URL('../../src/main/guardian.ts', import.meta.url).pathname];
const skip = whyNoLoops('xfs', 'btrfs');

let volumes: LoopFileSystem[] = [];
let work: string;
let set: ReplicaSet;
let load: WriteLoad;

before(async () => {
  if (skip !== false) return;
  work = mkdtempSync(join(tmpdir(), 'tm-copy-'));
  volumes = [await openLoopFileSystem('xfs', 2048), await openLoopFileSystem('btrfs', 2048)];
  set = await openReplicaSet({ dbPaths: volumes.map((volume) => join(volume.path, 'data')), oplogSizeMb: 256 });
  load = await startLoad(set.address, { seedBytes: 24 << 20 });
});

after(async () => {
  await load?.stop();
  await set?.stop();
  for (const volume of volumes) await volume[Symbol.asyncDispose]();
  if (work !== undefined) rmSync(work, { recursive: true, force: true });
});

async function copyOf(member: SetMember, method: CopyMethod | null, store: Vault['store'], more: { previous?: unknown; keepClone?: boolean } = {}): Promise<Copy> {
  await using client = await member.client();
  return await takeCopy(
    {
      client,
      address: member.address,
      local: { dbPath: member.dbPath },
      workDirectory: join(work, 'state'),
      method,
      keepClone: false,
      guardianProgram: guardian,
      log: silentLog,
      signal: AbortSignal.timeout(90_000),
      ...more,
    },
    store,
  );
}

/** The verdict: the files, laid in a directory, are a whole database at C that recovers to E. */
async function assertOpens(copy: Copy, vault: Vault): Promise<void> {
  const dbPath = join(work, 'opened');
  await vault.lay(copy.files, dbPath);
  let missing: number[] = [];
  const opened = await openCopy({ binary: set.binary, dbPath, socketDir: join(work, 's') }, async (client, top) => {
    missing = await load.missing(client, top);
  });
  rmSync(dbPath, { recursive: true });
  rmSync(`${dbPath}.log`);
  assert.deepEqual(opened.invalid, []);
  assert.ok(opened.collections > 5, 'there was something to validate');
  assert.deepEqual(missing, [], 'acknowledged no later than E and not in the copy');
  assert.ok(load.acknowledged.some(({ at }) => compareTimes(at, opened.top) <= 0), 'the load had written before the copy');
  assert.deepEqual(copy.checkpoint, opened.checkpoint, 'C is what mongod recovers from');
  assert.ok(compareTimes(copy.topAtLeast, opened.top) <= 0, 'E is not below what was durable before');
  if (copy.top !== null) assert.deepEqual({ t: copy.top.t, i: copy.top.i }, opened.top);
}

/** The first reads everything, the second what changed since, and the third what changed since a copy that did so itself. */
const rounds = Number(process.env['TIDEMARK_COPY_ROUNDS'] ?? 3);

function leftOn(member: SetMember): string[] {
  return readdirSync(join(member.dbPath, '..')).filter((name) => name.startsWith('.tidemark'));
}

test('a primary on XFS is cloned without a lock, and the copy is whole', { skip }, async () => {
  const member = set.members[0]!;
  const vault = openVault(join(work, 'clone'));
  await using client = await member.client();
  const { ways, best } = await probeCopy({ client, local: { dbPath: member.dbPath }, workDirectory: join(work, 'state') });
  assert.equal(best, 'clone', JSON.stringify(ways));
  const copy = await copyOf(member, null, vault.store);
  assert.equal(copy.method, 'clone');
  assert.equal(copy.lockedMs, 0);
  await assertOpens(copy, vault);
  await copy.published();
  assert.deepEqual(leftOn(member), [], 'a clone that is not to be kept is gone once the point exists');
});

test('live files of a primary, read between two checkpoints, are a whole copy', { skip }, async () => {
  const vault = openVault(join(work, 'window'));
  const copy = await copyOf(set.members[0]!, 'window', vault.store);
  assert.equal(copy.method, 'window');
  assert.equal(copy.lockedMs, 0);
  await assertOpens(copy, vault);
});

test('a secondary is copied under a lock that covers only what changed meanwhile', { skip }, async () => {
  const [member] = await set.secondaries();
  const vault = openVault(join(work, 'lock'));
  const copy = await copyOf(member!, 'lock', vault.store);
  assert.equal(copy.method, 'lock');
  assert.ok(copy.lockedMs > 0);
  assert.equal(vault.passes.at(-1)?.pass, 'final');
  assert.ok(vault.passes.at(-1)!.unchanged > 20, 'what did not change since the pass before is not read under the lock');
  await assertOpens(copy, vault);
  await using client = await member!.client();
  assert.equal((await client.db('admin').command({ currentOp: 1 }))['fsyncLock'], undefined);
});

test('a primary is not locked, and the failure says why no way was left', { skip }, async () => {
  const primary = await set.primary();
  await assert.rejects(copyOf(primary, 'lock', openVault(join(work, 'none')).store), { code: 'mongo.copy-not-possible', message: /a primary is not locked/ });
});

for (const [kind, at] of [['XFS', 0], ['Btrfs', 1]] as const) {
  test(`extent maps on ${kind} miss no changed byte over rounds of random updates`, { skip }, async (t) => {
    const seed = Number(process.env['TIDEMARK_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const member = set.members[at]!;
    const vault = openVault(join(work, `rounds-${kind}`));
    let previous: unknown;
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await updateAtRandom(seed + round);
      let sources: FileToRead[] = [];
      const store: Vault['store'] = async (files, pass) => {
        sources = files;
        return await vault.store(files, pass);
      };
      const copy = await copyOf(member, 'clone', store, { previous, keepClone: true });
      for (const { path, from, free } of sources) assert.ok(sameBytes(join(vault.directory, path), from, (await free?.()) ?? []), `${path} differs in round ${round}`);
      const { bytesRead, unchanged } = vault.passes.at(-1)!;
      const all = sources.reduce((sum, file) => sum + file.bytes, 0);
      t.diagnostic(`round ${round}: ${bytesRead} of ${all} bytes read, ${unchanged} of ${sources.length} files unchanged`);
      if (round > 0) assert.ok(bytesRead < all * 0.9 && unchanged > 10, 'most is not read again');
      await copy.published();
      previous = JSON.parse(JSON.stringify(copy.remembered));
      await assertOpens(copy, vault);
    }
    assert.equal(readdirSync(join(member.dbPath, '..', '.tidemark-clones')).length, 1, 'one clone is kept, the last');
  });
}

test('a lost clone costs a full read and nothing else', { skip }, async () => {
  const member = set.members[0]!;
  const vault = openVault(join(work, 'lost'));
  const first = await copyOf(member, 'clone', vault.store, { keepClone: true });
  await first.published();
  rmSync(join(member.dbPath, '..', '.tidemark-clones'), { recursive: true });
  const second = await copyOf(member, 'clone', vault.store, { keepClone: false, previous: JSON.parse(JSON.stringify(first.remembered)) });
  await assertOpens(second, vault);
  await second.forget();
  assert.deepEqual(leftOn(member), []);
});

/** One in a hundred documents of the big collection, by a generator that the seed makes repeatable. */
async function updateAtRandom(seed: number): Promise<void> {
  await using client = await set.client();
  const seeded = client.db('load').collection<{ _id: number }>('seeded');
  const count = await seeded.estimatedDocumentCount();
  let state = seed;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  const ids = Array.from({ length: Math.ceil(count / 100) }, () => next() % count);
  await seeded.bulkWrite(ids.map((_id) => ({ updateOne: { filter: { _id }, update: { $set: { pad: `${next()}`.repeat(150) } } } })));
  for (const member of set.members) {
    await using direct = await member.client();
    await direct.db('admin').command({ fsync: 1 });
  }
}

/** Whether two files have the same bytes wherever they are not free. */
function sameBytes(a: string, b: string, free: readonly ByteRange[]): boolean {
  if (statSync(a).size !== statSync(b).size) return false;
  const [left, right] = [openSync(a, 'r'), openSync(b, 'r')];
  const [x, y] = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)];
  try {
    for (let at = 0; ; at += x.length) {
      const got = readSync(left, x, 0, x.length, at);
      if (got !== readSync(right, y, 0, y.length, at)) return false;
      for (const { from, bytes } of free) {
        const [start, end] = [Math.max(0, from - at), Math.min(got, from + bytes - at)];
        if (start < end) for (const piece of [x, y]) piece.fill(0, start, end);
      }
      if (!x.subarray(0, got).equals(y.subarray(0, got))) return false;
      if (got < x.length) return true;
    }
  } finally {
    closeSync(left);
    closeSync(right);
  }
}
