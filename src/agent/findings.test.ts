import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { chown, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { findings } from './findings.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root: only root is careful about whose program it is';

test('a program of somebody else that calls itself mongod is named and not executed', { skip }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tm-findings-'));
  const path = join(directory, 'mongod');
  await copyFile('/bin/sleep', path);
  await chown(path, 65534, 65534);
  const child = spawn(path, ['60'], { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await rm(directory, { recursive: true });
  });
  await until('the program to run', 10_000, async () => (readlinkSync(`/proc/${child.pid}/exe`) === path ? true : undefined), { everyMs: 20 });
  const said = (await findings(tmpdir())).filter(({ what, says }) => what === 'mongod' && says.includes(`pid ${child.pid} `));
  assert.deepEqual(said.map(({ ok }) => ok), [false]);
  assert.match(said[0]!.says, /is not executed by root: \/tmp can be written by others than root/);
});
