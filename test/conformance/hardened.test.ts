import assert from 'node:assert/strict';
import { appendFile, chmod, chown, mkdir, mkdtemp, open, readFile, readdir, rename, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir, uptime } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { randomId } from '../../src/base/ids.ts';
import { lockNotKept, objectRetained, storageFailed, wardenNotReached } from '../../src/repository/failures.ts';
import { openArchive, createRepository, makeArchive, openRepository } from '../../src/repository/repository.ts';
import { raiseImmutable } from '../../src/repository/immutable.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { askWarden, readWardenAlarms } from '../../src/repository/storage/warden-line.ts';
import type { Retention, Storage } from '../../src/repository/storage/storage.ts';
import { requireProgram } from '../../src/base/child-process.ts';
import { below } from '../kit/data-session.ts';
import { openLoopFileSystem, whyNoLoops, type FileSystemKind } from '../kit/file-system.ts';
import { openTestWarden, whyNoWarden, writerUid, type TestWarden } from '../kit/warden.ts';
import { lockConformance } from './lock.ts';
import { storageConformance } from './storage.ts';

const skip = whyNoWarden();
const immutable = { days: 30, mode: null };
type Hardened = Storage & { readonly retention: Required<Retention> };

async function openAs(warden: TestWarden): Promise<Hardened> {
  return (await openDirectory(warden.place, { immutable, warden: warden.socket })) as Hardened;
}

async function fresh(t: TestContext, parent?: string): Promise<TestWarden> {
  const warden = await openTestWarden(parent);
  t.after(async () => await warden[Symbol.asyncDispose]());
  return warden;
}

/** Everything that the user who writes there can do to a file; and root, on its host, without lifting the flag. */
async function strike(path: string): Promise<void> {
  // Immutable files are refused to root by one name or the other, and to their owner by the first.
  const refused = /EPERM|EACCES/;
  await assert.rejects(unlink(path), refused);
  await assert.rejects(writeFile(path, 'other'), refused);
  await assert.rejects(appendFile(path, 'more'), refused);
  await assert.rejects(truncate(path, 0), refused);
  await assert.rejects(rename(path, `${path}-away`), refused);
  await writeFile(join(path, '../../../../.tmp/other'), 'other').catch(() => {});
  await assert.rejects(rename(join(path, '../../../../.tmp/other'), path), /EPERM|ENOENT/);
}

lockConformance(
  'a hardened directory',
  async (t) => {
    const warden = await fresh(t);
    return {
      storage: await openAs(warden),
      again: async () => await openAs(warden),
      attack: async (name) => await strike(join(warden.place, name)),
      passDays: warden.passDays,
      as: warden.asWriter,
    };
  },
  { skip, isTurned: true },
);

for (const kind of ['ext4', 'xfs', 'btrfs'] as const satisfies FileSystemKind[]) {
  test(`locks are kept on ${kind}, by root too, and lifted by the warden`, { skip: skip || whyNoLoops(kind) }, async () => {
    await using disk = await openLoopFileSystem(kind, kind === 'xfs' ? 320 : 128);
    await chmod(dirname(disk.path), 0o755);
    await using warden = await openTestWarden(disk.path);
    const storage = await openAs(warden);
    const name = 'sets/c/points/one';
    await warden.asWriter(async () => void (await storage.put(name, Buffer.from('point'), 'new')));
    await strike(join(warden.place, name));
    await warden.passDays(40);
    await warden.asWriter(async () => await storage.delete(name));
  });
}

let warden: TestWarden;
before(async () => {
  if (skip === false) warden = await openTestWarden();
});
after(async () => await warden?.[Symbol.asyncDispose]());

for (const [what, folder, isKept] of [
  ['what is not kept in a hardened directory', 'index', false],
  ['what is kept in a hardened directory', 'packs', true],
] as const) {
  if (skip !== false) continue;
  storageConformance(
    what,
    async () => {
      const prefix = `sets/${randomId()}/${folder}/`;
      const again = async (): Promise<Storage> => below(await openAs(warden), prefix);
      return { storage: await again(), again, as: warden.asWriter };
    },
    { isKept },
  );
}

test('a folder with locked files cannot be renamed or put aside by the user who writes there, nor can the ledger be read or reached', { skip }, async () => {
  const storage = await openAs(warden);
  await warden.asWriter(async () => {
    await storage.put('sets/a/points/one', Buffer.from('point'), 'new');
    for (const folder of ['sets/a/points', 'sets/a', 'sets', '.warden']) await assert.rejects(rename(join(warden.place, folder), join(warden.place, 'aside')), /EPERM|EACCES/, folder);
    await assert.rejects(rename(warden.place, `${warden.place}-aside`), /EPERM|EACCES/);
    await assert.rejects(readdir(join(warden.place, '.warden')), { code: 'EACCES' });
  });
});

test('what a kill left between its name and its lock is locked by the next round', { skip }, async () => {
  await warden.asWriter(async () => {
    const plain = await openDirectory(warden.place);
    await plain.put('tidemark.json', Buffer.from(JSON.stringify({ immutable })), 'new').catch(() => {});
    await plain.put('sets/b/points/left', Buffer.from('point'), 'new');
    await plain.put('sets/b/leases/writer-1', Buffer.from('lease'), 'new');
  });
  await warden.round();
  const storage = await openAs(warden);
  await warden.asWriter(async () => {
    await assert.rejects(storage.delete('sets/b/points/left'), (error) => isFailure(error, objectRetained));
    await storage.delete('sets/b/leases/writer-1');
  });
});

test('one name that is not as it should be is told, at the start too, and every other name is locked and lifted', { skip }, async (t) => {
  const own = await fresh(t);
  const told = async (): Promise<string[]> => (await readWardenAlarms(uptime() * 1000, join(dirname(own.socket), 'alarms.json'))).filter(({ place }) => place === own.place).map(({ says }) => says);
  const at = (name: string): string => join(own.place, name);
  await own.asWriter(async () => {
    const plain = await openDirectory(own.place);
    await plain.put('tidemark-copy.json', Buffer.from(JSON.stringify({ immutable })), 'new');
    for (const name of ['by-root', 'left', 'zz']) await plain.put(`sets/b/points/${name}`, Buffer.from('point'), 'new');
    // A warden that waited for a writer would answer nobody any more.
    await requireProgram('mkfifo', [at('tidemark.json')], { deadlineMs: 5000 });
    await symlink('/etc/hostname', at('sets/b/points/link'));
  });
  await chown(at('sets/b/points/by-root'), 0, 0);
  await own.round();
  for (const name of ['left', 'zz']) await assert.rejects(unlink(at(`sets/b/points/${name}`)), { code: 'EPERM' }, name);
  const [says, ...more] = await told();
  assert.deepEqual(more, []);
  assert.match(says!, /^3 names are .*sets\/b\/points\/by-root \(it is not a file of the user .*\), sets\/b\/points\/link \(it is a link\), tidemark\.json \(it is a pipe\)$/);

  // Taken away by root and put back, as from a tape: its lock cannot be lifted, those of others can.
  const late = await openDirectory(own.place, { immutable, warden: own.socket });
  await own.asWriter(async () => void (await late.put('sets/e/points/late', Buffer.from('point'), 'new')));
  await requireProgram('chattr', ['-i', at('sets/b/points/left')], { deadlineMs: 5000 });
  await unlink(at('sets/b/points/left'));
  await writeFile(at('sets/b/points/left'), 'another');
  await own.passDays(40);
  assert.match((await told()).join(), /sets\/b\/points\/left \(it is not a file of the user/);
  await own.asWriter(async () => {
    await unlink(at('sets/e/points/late'));
    await unlink(at('sets/b/points/zz'));
  });
  for (const name of ['sets/b/points/by-root', 'sets/b/points/left', 'sets/b/points/link', 'tidemark.json']) await rm(at(name));
  await own.round();
  assert.deepEqual(await told(), []);
});

test('the warden locks nothing that is not a finished file of the holder, and follows no link out of the place', { skip }, async () => {
  const retain = async (name: string): Promise<unknown> => await askWarden(warden.socket, { ask: 'retain', place: warden.place, names: [name], leastMs: 1000, forMs: 1000 });
  await warden.asWriter(async () => {
    const storage = await openAs(warden);
    await storage.put('sets/d/index/open', Buffer.from('text'), 'new');
    const held = await open(join(warden.place, 'sets/d/index/open'), 'r+');
    await assert.rejects(retain('sets/d/index/open'), (error) => isFailure(error, storageFailed) && /open for writing/.test(error.message));
    // In the ledger by now, and still not to be acknowledged; nor is the name behind it.
    await storage.put('sets/d/index/behind', Buffer.from('text'), 'new');
    const both = async (): Promise<unknown> => await askWarden(warden.socket, { ask: 'retain', place: warden.place, names: ['sets/d/index/open', 'sets/d/index/behind'], leastMs: 1000, forMs: 3_600_000 });
    for (let times = 0; times < 2; times++) await assert.rejects(both(), (error) => isFailure(error, storageFailed) && /open for writing/.test(error.message));
    await held.close();
    await both();
    for (const name of ['open', 'behind']) await assert.rejects(unlink(join(warden.place, 'sets/d/index', name)), /EPERM/, name);
    await requireProgram('ln', ['-s', '/etc', join(warden.place, 'sets/d/out')], { deadlineMs: 5000 });
    await requireProgram('ln', ['-s', '/etc/hostname', join(warden.place, 'sets/d/link')], { deadlineMs: 5000 });
    for (const name of ['sets/d/out/passwd', 'sets/d/link', '../etc/passwd', '/etc/passwd', 'sets/d']) await assert.rejects(retain(name), /repository\.|failed|not/, name);
  });
  const flags = await requireProgram('lsattr', ['-d', '/etc/passwd'], { deadlineMs: 5000 });
  assert.ok(!flags.split(' ')[0]!.includes('i'), flags);
});

test('there is no word for lifting, and garbage is not answered', { skip }, async () => {
  for (const ask of [{ ask: 'lift', place: warden.place, names: ['tidemark.json'] }, { ask: 'retain', place: warden.place, names: ['x'], leastMs: 0, forMs: -1 }, { ask: 'retain', place: 7 }]) {
    await assert.rejects(askWarden(warden.socket, ask as never), (error) => isFailure(error, wardenNotReached));
  }
});

test('nothing is acknowledged while the warden is away, and reading goes on', { skip }, async () => {
  const storage = await openDirectory(warden.place, { immutable, warden: '/nowhere/warden.sock' });
  await warden.asWriter(async () => {
    await assert.rejects(storage.put('sets/e/points/one', Buffer.from('x'), 'new'), (error) => isFailure(error, wardenNotReached));
    assert.ok((await storage.read('tidemark.json')).length > 0);
  });
});

test('a place is refused that root writes to, that its writer can put aside, or that nobody adopted', { skip }, async (t) => {
  const adopt = async (path: string): Promise<unknown> => await requireProgram(process.execPath, [join(import.meta.dirname, '../../src/main/warden.ts'), '--state', warden.state, 'adopt', path], { deadlineMs: 30_000 });
  await using other = await openTestWarden();
  await rm(join(other.place, '.warden'), { recursive: true });
  await assert.rejects(adopt(other.place), /root writes there/);
  await warden.asWriter(async () => await requireProgram('mkdir', ['-p', join(warden.place, 'mine/below')], { deadlineMs: 5000 }));
  await assert.rejects(adopt(join(warden.place, 'mine/below')), /can also rename what is in/);
  await assert.rejects(openDirectory(join(other.place, '..'), { create: true, immutable, warden: warden.socket }), (error) => isFailure(error, lockNotKept) && /warden adopt/.test(error.message));
  t.diagnostic('three refusals');
});

test('a place is refused in which its writer made what is the warden\'s, and it stays the writer\'s', { skip }, async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'tm-adopt-'));
  t.after(async () => await rm(root, { recursive: true, force: true }));
  await chmod(root, 0o755);
  const [place, state, victim] = [join(root, 'repository'), join(root, 'state'), join(root, 'victim')];
  await mkdir(place, { mode: 0o700 });
  await chown(place, writerUid, writerUid);
  await writeFile(victim, 'as it was');
  const adopt = async (): Promise<string> => await requireProgram(process.execPath, [join(import.meta.dirname, '../../src/main/warden.ts'), '--state', state, 'adopt', place], { deadlineMs: 30_000 });
  const below = join(place, '.warden');
  const traps: Record<string, () => Promise<unknown>> = {
    'a folder of the writer': async () => await warden.asWriter(async () => await mkdir(below, { mode: 0o700 })),
    'a link': async () => await warden.asWriter(async () => await symlink(state, below)),
    'a ledger of the writer': async () => {
      await mkdir(below, { mode: 0o700 });
      await writeFile(join(below, 'ledger'), '');
      await chown(join(below, 'ledger'), writerUid, writerUid);
    },
  };
  for (const [trap, lay] of Object.entries(traps)) {
    await lay();
    await assert.rejects(adopt(), /is not root's alone/, trap);
    const { uid, mode } = await stat(place);
    assert.deepEqual([uid, mode & 0o7777], [writerUid, 0o700], trap);
    await rm(below, { recursive: true });
  }
  await mkdir(below, { mode: 0o700 });
  await symlink(victim, join(below, 'trial'));
  await adopt();
  assert.equal(await readFile(victim, 'utf8'), 'as it was');
});

test('a point, its packs and an older pack that it builds on are kept; a sweep waits, says until when, and goes on after it', { skip }, async (t) => {
  const own = await fresh(t);
  const { openScene, noise, setId } = await import('../kit/archive-scene.ts');
  const scene = await own.asWriter(async () => await openScene(t));
  const openIt = async (): Promise<Storage> => await openAs(own);
  const contents = { 'a.wt': noise(3 << 20, 1), 'b.wt': noise(2 << 20, 2) };
  const archive = await own.asWriter(async () => {
    const storage = await openIt();
    const { key } = await createRepository(storage, 'a passphrase');
    const made = await makeArchive(storage, key, setId, 'rs0');
    return await openArchive(storage, setId, made.key);
  });
  const changed = { ...contents, 'b.wt': noise(2 << 20, 3) };
  const store = async (id: string, files: Record<string, Buffer>): Promise<unknown> => await own.asWriter(async () => await scene.store(archive, id, files));
  await store('first', contents);
  await own.passDays(20);
  await store('second', changed);
  await assert.rejects(archive.deletePoint('first'), (error) => isFailure(error, objectRetained));
  await own.passDays(20);
  // The first point's own time is over; what the second one builds on has been retained again.
  await archive.deletePoint('first');
  const waits = await own.asWriter(async () => await archive.sweep());
  await own.asWriter(async () => await scene.requireExact(archive, 'second', changed));
  const { retention } = archive.parts.storage as Hardened;
  const packs: string[] = [];
  for await (const { name } of archive.parts.storage.list(archive.parts.names.packs)) packs.push(name);
  const untils = await retention.until(packs);
  assert.ok(untils.some((untilMs) => untilMs !== null), 'the packs of the second point are kept');
  for (const name of packs) if (untils[packs.indexOf(name)] !== null) await assert.rejects(unlink(join(own.place, name)), { code: 'EPERM' });
  t.diagnostic(JSON.stringify(waits));
  await own.passDays(20);
  await archive.deletePoint('second');
  const swept = await own.asWriter(async () => await archive.sweep());
  assert.deepEqual([swept.keptBytes, swept.retainedUntilMs], [0, null]);
});

test('the days of a repository stand in its descriptor, are raised and never lowered', { skip }, async (t) => {
  const own = await fresh(t);
  await own.asWriter(async () => {
    const storage = await openAs(own);
    await createRepository(storage, 'a passphrase');
    await openRepository(storage, 'a passphrase');
    const { readImmutable } = await import('../../src/repository/immutable.ts');
    assert.deepEqual(await readImmutable(storage), immutable);
    await raiseImmutable(storage, 60);
    assert.deepEqual(await readImmutable(await openDirectory(own.place)), { days: 60, mode: null });
    await assert.rejects(raiseImmutable(storage, 10), { code: 'repository.immutable-not-lowered' });
    await assert.rejects(unlink(join(own.place, 'immutable/00060')), { code: 'EPERM' });
  });
});
