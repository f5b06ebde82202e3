import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { holding, innermostPid, listensOn, mountOf, ownerOf, parseListening, parseMounts } from './process-facts.ts';

const mounts = parseMounts(`25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 25 0:26 / /data rw - tmpfs none rw
31 30 8:17 /sub /data/db\\040one ro,noatime shared:5 master:1 - xfs /dev/sdb1 rw
32 30 8:33 / /data rw - btrfs /dev/sdc rw
`);

test('a path belongs to the nearest mount above it, the last one where two lie on one place', () => {
  assert.deepEqual(holding(mounts, '/data/db one/x'), { mountPoint: '/data/db one', fileSystem: 'xfs', device: '8:17', source: '/dev/sdb1', readOnly: true });
  assert.equal(holding(mounts, '/data/other')?.fileSystem, 'btrfs');
  assert.equal(holding(mounts, '/database')?.fileSystem, 'ext4');
  assert.equal(holding(mounts, '/')?.device, '254:0');
  assert.equal(holding([], '/'), undefined);
});

test('listening sockets are told from others on the same port', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:6989 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:6989 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 0100007F:16989 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
`;
  assert.deepEqual(parseListening(table, '6989'), ['4711']);
});

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
