/**
 * The second copy is on a real share, or in a bucket of a real store: each copy heals the other, the place restores the set alone, and another server
 * attaches it, takes it over and goes on in it. What is the same wherever a copy is, second-copy.test.ts has.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import { freePort } from '../kit/free-port.ts';
import { openObjectStore, whyNoObjectStore } from '../kit/object-store.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet } from '../kit/replica-set.ts';
import { openSamba, sharePassword, shareUser, whyNoSamba } from '../kit/samba.ts';

type Ends = { after(work: () => unknown): void };
type Place = {
  /** As the command line has it. */
  readonly words: readonly string[];
  names(): Promise<string[]>;
  read(name: string): Promise<Buffer>;
  write(name: string, bytes: Buffer): Promise<void>;
};

async function onShare(t: Ends, work: string): Promise<Place> {
  const samba = await openSamba(t);
  const password = join(work, 'share-password');
  await writeFile(password, sharePassword, { mode: 0o600 });
  const at = (name: string): string => join(samba.folder, 'second', name);
  return {
    words: [`smb://127.0.0.1:${samba.port}/sealed/second`, '--share-user', shareUser, '--share-password-file', password, '--encryption', 'required'],
    names: async () => (await readdir(at(''), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(at('').length)),
    read: async (name) => await readFile(at(name)),
    write: async (name, bytes) => await writeFile(at(name), bytes),
  };
}

async function inBucket(t: Ends, work: string): Promise<Place> {
  const store = await openObjectStore();
  t.after(async () => await store[Symbol.asyncDispose]());
  const { accessKeyId } = await store.bucket('vault');
  const secret = join(work, 'secret-key');
  await writeFile(secret, store.secret, { mode: 0o600 });
  const Key = (name: string): string => `second/${name}`;
  return {
    words: [`s3:http://127.0.0.1:${store.port}/vault/second`, '--access-key', accessKeyId, '--secret-key-file', secret],
    names: async () => {
      const found: string[] = [];
      for (let token: string | undefined, more = true; more; ) {
        const page = await store.client.send(new ListObjectsV2Command({ Bucket: 'vault', Prefix: 'second/', ContinuationToken: token }));
        found.push(...(page.Contents ?? []).map((one) => one.Key!.slice('second/'.length)));
        [token, more] = [page.NextContinuationToken, page.IsTruncated === true];
      }
      return found;
    },
    read: async (name) => Buffer.from(await (await store.client.send(new GetObjectCommand({ Bucket: 'vault', Key: Key(name) }))).Body!.transformToByteArray()),
    write: async (name, bytes) => void (await store.client.send(new PutObjectCommand({ Bucket: 'vault', Key: Key(name), Body: bytes }))),
  };
}

/** A byte in the middle of every pack is another one. */
async function flipInPacks({ names, read, write }: Omit<Place, 'words'>): Promise<void> {
  const packs = (await names()).filter((name) => /\/packs\/..\/[0-9a-f]{32}$/.test(name));
  assert.ok(packs.length > 0);
  for (const pack of packs) {
    const bytes = await read(pack);
    bytes[Math.floor(bytes.length / 3)]! ^= 0x10;
    await write(pack, bytes);
  }
}

const onDisk = (root: string): Omit<Place, 'words'> => ({
  names: async () => await readdir(root, { recursive: true }),
  read: async (name) => await readFile(join(root, name)),
  write: async (name, bytes) => await writeFile(join(root, name), bytes),
});

for (const [where, why, open] of [
  ['on a share', whyNoSamba(), onShare],
  ['in a bucket', whyNoObjectStore() ?? false, inBucket],
] as const) {
  test(`a copy ${where} is healed from the first repository and heals it, restores the set alone, and another server attaches it, adopts it and goes on in it`, { skip: why, timeout: 10 * 60_000 }, async () => {
    // The servers end before the place and the set that they work with.
    await using ends = new AsyncDisposableStack();
    const work = await mkdtemp(join(tmpdir(), 'tm-copy-elsewhere-'));
    ends.defer(async () => await rm(work, { recursive: true, force: true }));
    const place = await open({ after: (end) => ends.defer(async () => void (await end())) }, work);
    const passphrase = join(work, 'passphrase');
    await writeFile(passphrase, 'another secret altogether\n');
    const set = ends.use(await openReplicaSet({ members: 1 }));
    const client = ends.use(await set.client());
    const orders = client.db('shop').collection<{ _id: number; bytes: Buffer }>('orders');
    const insert = async (from: number, to: number): Promise<void> => void (await orders.insertMany(Array.from({ length: to - from }, (_, k) => ({ _id: from + k, bytes: randomBytes(32_768) }))));
    const archived = async (server: Platform): Promise<{ moment: string; points: any[]; gaps: any[] }> => {
      const { operationTime } = await client.db('admin').command({ ping: 1 });
      const [time, i] = [operationTime.getHighBitsUnsigned(), operationTime.getLowBitsUnsigned()] as [number, number];
      return await until('the archive to hold what was written', 60_000, async () => {
        const { to, points, gaps } = await server.ok('window', 'rs0');
        return to !== null && (to.t > time || (to.t === time && to.i >= i)) ? { moment: `${time},${i}`, points, gaps } : undefined;
      }, { everyMs: 300 });
    };

    let point: string;
    {
      await using platform = await openPlatform({ keptIn: [process.execPath] });
      await insert(0, 200);
      await platform.ok('set', 'add', set.uri);
      await platform.ok('repository', 'add', 'second', ...place.words, '--passphrase-file', passphrase);
      await platform.ok('copy', 'add', 'rs0', '--to', 'second');
      point = (await platform.ok('backup', 'run', 'rs0')).point;
      const first = await platform.ok('copy', 'run', 'rs0');
      assert.deepEqual([first.state, first.points.length, first.failed], ['success', 1, []]);
      assert.ok((await place.names()).some((name) => name.includes('/packs/')), 'it is in that place');

      for (const [hurt, from, contents] of [['second', 'default', place], ['default', 'second', onDisk(join(platform.dataDir, 'repository'))]] as const) {
        await flipInPacks(contents);
        const check = await platform.tidemark('repository', 'check', hurt, '--read-data');
        assert.deepEqual([check.code, check.json.archives[0].hurtPoints.length], [1, 1], hurt);
        assert.equal((await platform.tidemark('repository', 'repair', hurt)).code, 3, 'it cannot heal itself');
        const repaired = await platform.ok('repository', 'repair', hurt, '--from', from);
        assert.deepEqual([repaired.ok, repaired.archives[0].wholeAgain.length, repaired.archives[0].stillHurt], [true, 1, []], hurt);
        // What was hurt lies in its pack until a sweep; no point needs it any more.
        assert.deepEqual((await platform.tidemark('repository', 'check', hurt, '--read-data')).json.archives[0].hurtPoints, []);
      }

      await insert(1_000, 1_010);
      const { moment } = await archived(platform);
      await platform.ok('copy', 'run', 'rs0');
      const wanted = await hashAll(client);
      await rm(join(platform.dataDir, 'repository'), { recursive: true });
      const port = await freePort();
      await platform.ok('restore', 'set', 'rs0', '--repository', 'second', '--at', moment, '--to-dir', `${join(work, 'back')}:${port}`, '--name', 'rs0-back', '--start', '--apply');
      const back = await MongoClient.connect(`mongodb://127.0.0.1:${port}/?replicaSet=rs0-back`);
      try {
        assert.deepEqual(await hashAll(back), wanted, 'the copy alone gives the set as it was');
      } finally {
        await back.db('admin').command({ shutdown: 1, force: true }).catch(() => {});
        await back.close();
      }
    }

    await using other = await openPlatform({ keptIn: [process.execPath] });
    const before = (await place.names()).sort();
    const imported = await other.ok('repository', 'import', ...place.words, '--passphrase-file', passphrase, '--name', 'old');
    assert.deepEqual([imported.isAttached, imported.archives.map(({ setName, points }: { setName: string; points: number }) => [setName, points])], [true, [['rs0', 1]]]);
    const [listed] = (await other.ok('point', 'list')).points;
    assert.deepEqual([listed.repository, listed.copiedFrom.point], ['old', point]);
    assert.deepEqual((await other.tidemark('repository', 'check', 'old', '--read-data')).json.archives.map(({ points, hurtPoints }: { points: number; hurtPoints: string[] }) => [points, hurtPoints]), [[1, []]]);
    assert.deepEqual((await place.names()).sort(), before, 'nothing was written into it');
    await other.ok('set', 'add', set.uri);
    assert.deepEqual((await other.ok('repository', 'adopt', 'old', '--apply')).sets, ['rs0']);
    const next = await other.ok('backup', 'run', 'rs0');
    assert.deepEqual([next.copied, next.verified, (await other.ok('point', 'show', next.point)).repository], ['incremental', true, 'old']);
    const window = await archived(other);
    assert.deepEqual([window.points.length, window.gaps], [2, []], 'no moment was lost');
  });
}
