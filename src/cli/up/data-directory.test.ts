import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tryLockFile } from '../../base/native.ts';
import { takeDataDirectory } from './data-directory.ts';

const place = mkdtempSync(join(tmpdir(), 'tidemark-data-'));
after(() => rmSync(place, { recursive: true }));
const take = async (path: string) => await takeDataDirectory(path, 4711, async (fd) => tryLockFile(fd));
const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('a new data directory, and an empty one that is there, become the owner\'s alone', async () => {
  await (await take(join(place, 'new/deep'))).close();
  assert.equal(modeOf(join(place, 'new/deep')), 0o700);
  mkdirSync(join(place, 'empty'));
  chmodSync(join(place, 'empty'), 0o755);
  await (await take(join(place, 'empty'))).close();
  assert.equal(modeOf(join(place, 'empty')), 0o700);
});

test('a start that fails before it made anything leaves the directory as it was; one with a catalog stays ours', async () => {
  const path = join(place, 'failed');
  await (await take(path)).close();
  assert.deepEqual(readdirSync(path), []);
  const taken = await take(path);
  writeFileSync(join(path, 'master.key'), 'x');
  await taken.close();
  assert.deepEqual(readdirSync(path), ['master.key', 'up.lock']);
  await (await take(path)).close();
});

test('a second taker is refused while the first one lives, and is told who it is', async () => {
  const path = join(place, 'taken');
  const first = await take(path);
  await assert.rejects(take(path), /another "tidemark up" \(pid 4711\) uses the data directory .*taken/);
  await first.close();
  await (await take(path)).close();
});

test('a directory with somebody else\'s files is refused and left as it is', async () => {
  const path = join(place, 'home');
  mkdirSync(path);
  chmodSync(path, 0o755);
  writeFileSync(join(path, 'letter.txt'), 'dear');
  await assert.rejects(take(path), /holds files that are not Tidemark's, such as letter\.txt/);
  assert.equal(modeOf(path), 0o755);
});

test('a path that cannot be a directory is named with the reason', async () => {
  writeFileSync(join(place, 'file'), '');
  await assert.rejects(take(join(place, 'file/data')), /the data directory .* cannot be used: it, or what it is to be in, is a file/);
  await assert.rejects(take(join(place, 'file')), /the data directory .*file cannot be used: it, or what it is to be in, is a file/);
});

test('a directory that a recovery has made a server in is taken as one that has been up before', async () => {
  const path = join(place, 'recovered');
  mkdirSync(join(path, 'server'), { recursive: true });
  writeFileSync(join(path, 'master.key'), 'k');
  const taken = await take(path);
  await taken.close();
});
