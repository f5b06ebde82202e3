import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { requireProgram } from '../../base/child-process.ts';
import { lookBelow, note, readBeneath, sentenceOfAmiss, type Amiss } from './place-sight.ts';

const skip = process.platform === 'linux' ? false : 'needs openat2';
const own = process.getuid?.() ?? 0;

async function open(t: TestContext): Promise<{ path: string; root: number }> {
  const path = await mkdtemp(join(tmpdir(), 'tm-sight-'));
  const root = openSync(path, 'r');
  t.after(async () => {
    closeSync(root);
    await rm(path, { recursive: true });
  });
  return { path, root };
}

test('a pipe, a link and a socket where an object would be are told, hide nothing beside them and nothing is waited for', { skip }, async (t) => {
  const { path, root } = await open(t);
  await mkdir(join(path, 'sets/a/points/deep'), { recursive: true });
  for (const name of ['sets/a/points/one', 'sets/a/points/deep/two', 'sets/a/points/.hidden', 'sets/a/points/Upper', 'tidemark-copy.json']) await writeFile(join(path, name), 'x');
  await requireProgram('mkfifo', [join(path, 'tidemark.json')], { deadlineMs: 5_000 });
  await symlink('/etc/passwd', join(path, 'sets/a/points/link'));
  await symlink('/etc', join(path, 'sets/a/packs'));
  await symlink('/etc/passwd', join(path, 'sets/a/leases'));
  const socket = createServer().listen(join(path, 'sets/a/points/socket'));
  t.after(() => socket.close());
  const amiss: Amiss = new Map();
  const { files, closed } = await lookBelow(root, '', amiss);
  assert.deepEqual([...files].toSorted(), ['sets/a/points/deep/two', 'sets/a/points/one', 'tidemark-copy.json']);
  assert.deepEqual(closed, []);
  assert.deepEqual([...amiss].toSorted(([a], [b]) => (a < b ? -1 : 1)), [['sets/a/packs', 'it is a link'], ['sets/a/points/link', 'it is a link'], ['sets/a/points/socket', 'it is a socket'], ['tidemark.json', 'it is a pipe']]);
});

test('what is not a small file of the writer, or of root, is not read', { skip }, async (t) => {
  const { path, root } = await open(t);
  await requireProgram('mkfifo', [join(path, 'pipe')], { deadlineMs: 5_000 });
  await symlink('/etc/passwd', join(path, 'link'));
  await writeFile(join(path, 'large'), '');
  await truncate(join(path, 'large'), 2 << 20);
  await writeFile(join(path, 'good'), 'words');
  assert.throws(() => readBeneath(root, 'pipe', own), /not a file/);
  assert.throws(() => readBeneath(root, 'link', own), /errno 40/);
  assert.throws(() => readBeneath(root, 'large', own), /too large/);
  assert.equal(readBeneath(root, 'never', own), undefined);
  assert.equal(String(readBeneath(root, 'good', own)), 'words');
});

test('a folder that cannot be looked into is told, and is not taken for empty', { skip }, async () => {
  const root = openSync('/', 'r');
  const amiss: Amiss = new Map();
  // On another file system, which the place of a repository is not.
  assert.deepEqual(await lookBelow(root, 'proc', amiss), { files: new Set(), closed: ['proc'] });
  closeSync(root);
  assert.equal(sentenceOfAmiss(amiss), '1 name is not as it should be: proc (it lies on another file system)');
});

test('an alarm names the first three names and counts the others, and whoever makes a million of them fills no memory', () => {
  const amiss: Amiss = new Map();
  assert.equal(sentenceOfAmiss(amiss), undefined);
  for (const object of ['d', 'c', 'b', 'a']) note(amiss, object, 'it is a pipe');
  assert.equal(sentenceOfAmiss(amiss), '4 names are not as they should be: a (it is a pipe), b (it is a pipe), c (it is a pipe) and others');
  for (let k = 0; k < 5_000; k++) note(amiss, `sets/${k}`, 'it is a link');
  assert.match(sentenceOfAmiss(amiss)!, /^1000 or more names are/);
  assert.equal(amiss.size, 1000);
});
