/** Data directories as operators lay them out: mounts, links, volumes of their own, a directory for each database. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { takeCopy, type Copy, type CopyMethod } from '../../src/mongo/copy/ladder.ts';
import { findLocalMongod } from '../../src/mongo/local-mongod.ts';
import { openVault, type Vault } from '../kit/copy-vault.ts';
import { openLoopFileSystem, whyNoLoops, type LoopFileSystem } from '../kit/file-system.ts';
import { openCopy } from '../kit/opened-copy.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from '../kit/replica-set.ts';
import { startLoad, type WriteLoad } from '../kit/write-load.ts';

const guardian = [process.execPath, new URL('../../src/main/guardian.ts', import.meta.url).pathname];
const skip = whyNoLoops('xfs', 'ext4');
const layout = ['--directoryperdb', '--wiredTigerDirectoryForIndexes'];

let volumes: LoopFileSystem[] = [];
let work: string;
let set: ReplicaSet;
let load: WriteLoad;

before(async () => {
  if (skip !== false) return;
  work = mkdtempSync(join(tmpdir(), 'tm-layout-'));
  volumes = [await openLoopFileSystem('xfs', 1024), await openLoopFileSystem('xfs', 1024), await openLoopFileSystem('ext4', 512)];
  const [own, shared, journals] = volumes.map((volume) => volume.path);
  mkdirSync(join(shared!, 'data'));
  mkdirSync(join(journals!, 'logs'));
  symlinkSync(join(journals!, 'logs'), join(shared!, 'data', 'journal'));
  symlinkSync(join(shared!, 'data'), join(work, 'link'));
  set = await openReplicaSet({ dbPaths: [own!, join(work, 'link')], args: layout, oplogSizeMb: 128 });
  load = await startLoad(set.address, { seedBytes: 6 << 20 });
});

after(async () => {
  await load?.stop();
  await set?.stop();
  for (const volume of volumes) await volume[Symbol.asyncDispose]();
  if (work !== undefined) rmSync(work, { recursive: true, force: true });
});

async function copyOf(member: SetMember, method: CopyMethod, store: Vault['store'], keepClone: boolean): Promise<Copy> {
  await using client = await member.client();
  const local = await findLocalMongod(member);
  assert.ok(local !== undefined, 'the member is found on this host');
  const signal = AbortSignal.timeout(90_000);
  return await takeCopy({ client, address: member.address, local, workDirectory: join(work, 'state'), method, keepClone, guardianProgram: guardian, log: silentLog, signal }, store);
}

async function assertOpens(copy: Copy, vault: Vault): Promise<void> {
  const dbPath = join(work, 'opened');
  await vault.lay(copy.files, dbPath);
  let missing: number[] = [];
  const opened = await openCopy({ binary: set.binary, dbPath, socketDir: join(work, 's'), args: layout }, async (client, top) => {
    missing = await load.missing(client, top);
  });
  rmSync(dbPath, { recursive: true });
  rmSync(`${dbPath}.log`);
  assert.deepEqual(opened.invalid, []);
  assert.deepEqual(missing, []);
  assert.deepEqual(copy.checkpoint, opened.checkpoint);
}

for (const method of ['clone', 'window', 'lock'] as const) {
  test(`a linked dbPath with its journal on another volume: ${method}`, { skip }, async () => {
    const member = set.members[1]!;
    const vault = openVault(join(work, method));
    const copy = await copyOf(member, method, vault.store, false);
    assert.equal(copy.method, method);
    assert.ok(copy.files.some(({ path }) => path.startsWith('journal/WiredTigerLog.')), 'the journal is in the copy, where mongod looks for it');
    await assertOpens(copy, vault);
    await copy.published();
  });
}

test('a dbPath that is a mount of its own is cloned inside itself, and mongod starts with the clone there', { skip }, async () => {
  const member = set.members[0]!;
  const vault = openVault(join(work, 'mount'));
  const copy = await copyOf(member, 'clone', vault.store, true);
  assert.ok(existsSync(join(member.dbPath, '.tidemark-clones')));
  assert.ok(copy.files.some(({ path }) => path.startsWith('load/index/')) && copy.files.some(({ path }) => path.startsWith('load/collection/')), 'a directory for each database and for indexes');
  assert.ok(!copy.files.some(({ path }) => path.includes('.tidemark') || path.includes('lost+found') || path === 'mongod.lock'));
  await assertOpens(copy, vault);
  await load.stop();
  await member.kill9();
  await member.restart();
  await set.settled();
  await using client = await member.client();
  assert.ok((await client.db('load').collection('ledger').estimatedDocumentCount()) > 0);
  assert.equal(readdirSync(join(member.dbPath, '.tidemark-clones')).length, 1, 'mongod left it alone');
  await copy.forget();
  assert.ok(!existsSync(join(member.dbPath, '.tidemark-clones')));
});
