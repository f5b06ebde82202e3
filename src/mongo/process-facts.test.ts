import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { innermostPid, listensOn, mountOf, ownerOf } from './process-facts.ts';

test('of this process we know where it listens, who owns it and what its files lie on', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    assert.equal(listensOn(process.pid, port), true);
    assert.equal(listensOn(process.pid, 1), false);
  } finally {
    server.close();
  }
  assert.deepEqual(ownerOf(process.pid), { uid: process.geteuid?.(), gid: process.getegid?.() });
  assert.equal(innermostPid(process.pid), process.pid);
  assert.ok(mountOf('self', '/proc')?.fileSystem === 'proc');
});

test('of a process that is gone nothing is known, and nothing fails', () => {
  assert.equal(listensOn(2 ** 30, 27017), false);
  assert.deepEqual(ownerOf(2 ** 30), { uid: -1, gid: -1 });
  assert.equal(mountOf(2 ** 30, '/'), undefined);
});
