import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { moveOver, nameNew, whileHeld } from './durable-names.ts';
import { nodeCodeOf } from './native-windows.ts';

test('a name is taken once, and over what is there only when asked', async () => {
  const place = await mkdtemp(join(tmpdir(), 'tm-names-'));
  const at = (name: string): string => join(place, name);
  try {
    for (const name of ['a', 'b', 'c']) await writeFile(at(name), name);
    assert.equal(await nameNew(at('a'), at('x')), 'stored');
    assert.equal(await nameNew(at('b'), at('x')), 'exists');
    assert.equal(await readFile(at('x'), 'utf8'), 'a');
    await moveOver(at('c'), at('x'));
    assert.equal(await readFile(at('x'), 'utf8'), 'c');
    assert.ok(!(await readdir(place)).includes('c'));
  } finally {
    await rm(place, { recursive: true });
  }
});

test('what somebody holds is tried again until he lets go, for a while, and nothing else is', async () => {
  const failing = (code: string, times: number) => {
    const tried = { count: 0 };
    return { tried, work: async () => (tried.count++ < times ? await Promise.reject(Object.assign(new Error(code), { code })) : 'done') };
  };
  const brief = failing('EBUSY', 3);
  assert.equal(await whileHeld(brief.work), 'done');
  assert.equal(brief.tried.count, 4);
  const lasting = failing('EPERM', 1000);
  await assert.rejects(whileHeld(lasting.work, 60), { code: 'EPERM' });
  assert.ok(lasting.tried.count >= 2 && lasting.tried.count < 10, String(lasting.tried.count));
  const missing = failing('ENOENT', 1);
  await assert.rejects(whileHeld(missing.work), { code: 'ENOENT' });
  assert.equal(missing.tried.count, 1);
});

test('numbers of Win32 have the codes that Node has for the same', () => {
  assert.deepEqual([2, 3, 5, 32, 33, 80, 183, 112, 9999].map(nodeCodeOf), ['ENOENT', 'ENOENT', 'EPERM', 'EBUSY', 'EBUSY', 'EEXIST', 'EEXIST', 'ENOSPC', 'EIO']);
});
