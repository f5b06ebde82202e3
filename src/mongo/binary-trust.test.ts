import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { findBinary, versionOfBinary } from './binary.ts';
import { whyNotExecuted } from './binary-trust.ts';

const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'needs root: only root is careful about whose program it is';

/** A "mongod" that tells the world when it is executed. */
async function trap(t: TestContext): Promise<{ path: string; sprung: () => boolean }> {
  const directory = await mkdtemp(join(tmpdir(), 'tm-trap-'));
  t.after(async () => await rm(directory, { recursive: true }));
  const [path, witness] = [join(directory, 'mongod'), join(directory, 'executed')];
  await writeFile(path, `#!/bin/sh\ntouch ${witness}\necho 'db version v9.9.9'\n`, { mode: 0o755 });
  return { path, sprung: () => existsSync(witness) };
}

test('root does not execute a program named mongod in a directory that anybody can write, whoever owns it', { skip }, async (t) => {
  const { path, sprung } = await trap(t);
  assert.match((await whyNotExecuted(path)) ?? '', /^\/tmp can be written by others than root$/);
  assert.equal(await versionOfBinary(path), undefined);
  await assert.rejects(findBinary('9.9.9', [path]), (error: Error) => error.message.includes(`${path} is not executed by root: /tmp can be written`));
  assert.equal(sprung(), false);
});

test('a link of root to somebody else\'s program is that program, and a program of another user is named by its owner', { skip }, async (t) => {
  const { path } = await trap(t);
  const safe = await mkdtemp('/root/tm-trust-');
  t.after(async () => await rm(safe, { recursive: true }));
  await symlink(path, join(safe, 'mongod'));
  assert.match((await whyNotExecuted(join(safe, 'mongod'))) ?? '', /^\/tmp can be written/);
  await mkdir(join(safe, 'bin'));
  await writeFile(join(safe, 'bin/mongod'), '', { mode: 0o755 });
  assert.equal(await whyNotExecuted(join(safe, 'bin/mongod')), undefined);
  await chmod(join(safe, 'bin/mongod'), 0o775);
  assert.match((await whyNotExecuted(join(safe, 'bin/mongod'))) ?? '', /bin\/mongod can be written by others/);
  assert.match((await whyNotExecuted('/proc/self/root/usr/bin/env')) ?? '', /seen through another process/);
  assert.match((await whyNotExecuted(join(safe, 'nowhere/mongod'))) ?? '', /cannot be looked at/);
});

test('who is not root may execute what their own rights allow', async (t) => {
  const { path } = await trap(t);
  assert.equal(await whyNotExecuted(path, 1000), undefined);
});
