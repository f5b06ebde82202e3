import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('workers that are ended while they start do not take the process with them', async () => {
  const program = new URL('../../test/kit/ended-workers-child.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 90_000 });
  assert.equal(stdout.trim(), 'whole');
});
