import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runProgram } from '../base/child-process.ts';
import { takePlaces } from './take-places.ts';
import { inspectTargets, removeBuilding, requireSpace, requireUnchanged, startBuilding, type Target } from './target-directory.ts';
import { freePort } from '../../test/kit/free-port.ts';

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

async function place(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'tm-target-'));
  t.after(async () => await rm(root, { recursive: true }));
  return root;
}

/** A port that nobody listens on. */

async function places(...directories: string[]): Promise<{ directory: string; port: number }[]> {
  return await Promise.all(directories.map(async (directory) => ({ directory, port: await freePort() })));
}

async function dataDirectory(path: string, version: string): Promise<void> {
  await mkdir(join(path, 'journal'), { recursive: true });
  for (const name of ['WiredTiger.turtle', 'storage.bson', 'a.wt', 'journal/log']) await writeFile(join(path, name), version);
}

async function built(target: Target): Promise<void> {
  await startBuilding(target);
  await dataDirectory(target.building, 'new');
}

const unusable = (why: RegExp) => (error: Error & { code?: string }): boolean => error.code === 'agent.directory-unusable' && why.test(error.message);

test('a target that is a file, behind a file or not to be looked at is refused and stays', async (t) => {
  const root = await place(t);
  await writeFile(join(root, 'file'), 'precious');
  await symlink(join(root, 'nowhere'), join(root, 'dangling'));
  await assert.rejects(inspectTargets(await places(join(root, 'file'))), unusable(/it is not a directory/));
  await assert.rejects(inspectTargets(await places(join(root, 'file/below'))), unusable(/ENOTDIR/));
  await assert.rejects(inspectTargets(await places(join(root, 'dangling'))), unusable(/it is not a directory/));
  assert.equal(await readFile(join(root, 'file'), 'utf8'), 'precious');
});

test('a directory that may not be read is refused, not taken for empty', async (t) => {
  const root = await place(t);
  await mkdir(join(root, 'closed'), { mode: 0o000 });
  await chmod(root, 0o755);
  const asked = await places(join(root, 'closed'));
  // Root may read everything, so that root looks as somebody else.
  if (isRoot) process.seteuid!(nobody);
  try {
    await assert.rejects(inspectTargets(asked), unusable(/EACCES/));
  } finally {
    if (isRoot) process.seteuid!(0);
  }
  await chmod(join(root, 'closed'), 0o700);
});

test('relative, unclean, repeated and nested directories are refused whoever asks, links seen through', async (t) => {
  const root = await place(t);
  await mkdir(join(root, 'a'));
  await symlink(join(root, 'a'), join(root, 'link'));
  for (const directory of ['data', './data', `${root}/a/`, `${root}/a/../b`, `${root}//b`]) await assert.rejects(inspectTargets(await places(directory)), unusable(/absolute path without/));
  await assert.rejects(inspectTargets(await places('/')), unusable(/root of the file system/));
  await assert.rejects(inspectTargets(await places(`${root}/b.tidemark-building`)), unusable(/under construction/));
  await assert.rejects(inspectTargets(await places(`${root}/a`, `${root}/a`)), unusable(/the same place/));
  await assert.rejects(inspectTargets(await places(`${root}/a`, `${root}/link`)), unusable(/the same place/));
  await assert.rejects(inspectTargets(await places(`${root}/a`, `${root}/link/b`)), unusable(/lies inside/));
  await assert.rejects(inspectTargets(await places(`${root}/a/b`, `${root}/a`)), unusable(/lies inside it/));
  const [one] = await places(`${root}/a`);
  await assert.rejects(inspectTargets([one!, { directory: `${root}/b`, port: one!.port }]), unusable(/its port/));
  assert.equal((await inspectTargets(await places(`${root}/a`, `${root}/ab`))).length, 2);
});

test('what came into an empty target since the plan is seen before anything is renamed, and a rename would not replace it', async (t) => {
  const root = await place(t);
  await mkdir(join(root, 'a'));
  const asked = await places(join(root, 'a'));
  const [target] = (await inspectTargets(asked)) as [Target];
  await built(target);
  await requireUnchanged([target], asked);
  await dataDirectory(join(root, 'a'), 'theirs');
  await assert.rejects(requireUnchanged([target], asked), unusable(/held nothing when the restore began/));
  await assert.rejects(takePlaces([target], 'S'), { code: 'agent.places-not-taken' });
  assert.equal(await readFile(join(root, 'a/a.wt'), 'utf8'), 'theirs');
  assert.deepEqual(await readdir(root), ['a', 'a.tidemark-building']);
  await removeBuilding(target);
  assert.deepEqual(await readdir(root), ['a']);
});

test('new directories take the place of old, empty and missing ones, and the old is kept aside', async (t) => {
  const root = await place(t);
  await dataDirectory(join(root, 'old'), 'old');
  await mkdir(join(root, 'empty'));
  const targets = await inspectTargets(await places(join(root, 'old'), join(root, 'empty'), join(root, 'new')));
  assert.deepEqual(targets.map(({ holds }) => holds), ['a data directory', 'nothing', 'nothing']);
  for (const target of targets) await built(target);
  assert.deepEqual(await takePlaces(targets, 'S'), [join(root, 'old.before-S')]);
  assert.deepEqual(await readdir(root), ['empty', 'new', 'old', 'old.before-S']);
  for (const name of ['empty', 'new', 'old']) assert.equal(await readFile(join(root, name, 'a.wt'), 'utf8'), 'new');
  assert.equal(await readFile(join(root, 'old.before-S/journal/log'), 'utf8'), 'old');
});

test('a member whose place cannot be taken puts the members before it back as they were', async (t) => {
  const root = await place(t);
  for (const name of ['a', 'c']) await dataDirectory(join(root, name), `old ${name}`);
  await mkdir(join(root, 'b'), { mode: 0o750 });
  const targets = await inspectTargets(await places(join(root, 'a'), join(root, 'b'), join(root, 'c')));
  for (const target of targets) await built(target);
  await mkdir(join(root, 'c.before-S/in-the-way'), { recursive: true });
  await assert.rejects(takePlaces(targets, 'S'), (error: Error) => error.message.endsWith('what was there is back in place'));
  for (const name of ['a', 'c']) assert.equal(await readFile(join(root, name, 'a.wt'), 'utf8'), `old ${name}`);
  assert.deepEqual(await readdir(join(root, 'b')), []);
  assert.equal(existsSync(join(root, 'a.before-S')), false);
});

test('a target that is a link is filled where the link leads, and the link stays', async (t) => {
  const root = await place(t);
  await dataDirectory(join(root, 'volume/data'), 'old');
  await symlink(join(root, 'volume/data'), join(root, 'mongo'));
  const targets = await inspectTargets(await places(join(root, 'mongo')));
  for (const target of targets) await built(target);
  assert.deepEqual(await takePlaces(targets, 'S'), [join(root, 'volume/data.before-S')]);
  assert.equal(await readFile(join(root, 'mongo/a.wt'), 'utf8'), 'new');
});

/** A small file system of its own, or the reason why there is none. */
async function mounted(t: TestContext, directory: string): Promise<boolean> {
  await mkdir(directory);
  const { code } = await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', directory], { deadlineMs: 10_000 }).catch(() => ({ code: 1 }));
  if (code === 0) t.after(async () => void (await runProgram('umount', [directory], { deadlineMs: 10_000 })));
  else t.skip('needs the right to mount');
  return code === 0;
}

test('a mount point is filled from inside: new entries in, old ones kept in it, lost+found left, room counted there', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'tm-target-'));
  const directory = join(root, 'mongo');
  if (!(await mounted(t, directory))) return;
  t.after(async () => await rm(root, { recursive: true }));
  await mkdir(join(directory, 'lost+found'));
  const asked = await places(directory);
  for (const [stamp, aside] of [['1', []], ['2', [join(directory, 'tidemark.before-2')]]] as const) {
    const targets = (await inspectTargets(asked)) as [Target];
    assert.deepEqual([targets[0].isMountPoint, targets[0].holds], [true, stamp === '1' ? 'nothing' : 'a data directory']);
    await requireSpace(targets, 4e6);
    await assert.rejects(requireSpace(targets, 12e6), { code: 'agent.space-missing' });
    for (const target of targets) await built(target);
    await writeFile(join(targets[0].building, 'a.wt'), `new ${stamp}`);
    await requireUnchanged(targets, asked);
    assert.deepEqual(await takePlaces(targets, stamp), aside);
    assert.equal(await readFile(join(directory, 'a.wt'), 'utf8'), `new ${stamp}`);
  }
  assert.equal(await readFile(join(directory, 'tidemark.before-2/a.wt'), 'utf8'), 'new 1');
  assert.deepEqual((await readdir(directory)).sort(), ['WiredTiger.turtle', 'a.wt', 'journal', 'lost+found', 'storage.bson', 'tidemark.before-2']);
});

test('a mount point whose entries cannot all be moved has its old ones back', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'tm-target-'));
  const directory = join(root, 'mongo');
  if (!(await mounted(t, directory))) return;
  t.after(async () => await rm(root, { recursive: true }));
  await dataDirectory(directory, 'old');
  const targets = (await inspectTargets(await places(directory, join(root, 'other')))) as [Target, Target];
  for (const target of targets) await built(target);
  // The second target cannot be taken after the first was.
  await mkdir(join(root, 'other/in-the-way'), { recursive: true });
  await assert.rejects(takePlaces(targets, 'S'), (error: Error & { details?: unknown }) => {
    assert.deepEqual((error.details as { stuck: string[] }).stuck, []);
    return error.message.includes('ENOTEMPTY');
  });
  for (const name of ['WiredTiger.turtle', 'storage.bson', 'a.wt', 'journal/log']) assert.equal(await readFile(join(directory, name), 'utf8'), 'old');
  assert.equal(existsSync(join(directory, 'tidemark.before-S')), false);
});
