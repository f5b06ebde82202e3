import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { holding, parseListeners, parseMounts } from './proc-text.ts';

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
  assert.deepEqual(parseListeners(table), [{ address: '127.0.0.1', port: 27017, inode: '4711' }]);
});

test('addresses are read as people write them', () => {
  const listeners = (address: string) => parseListeners(`0: ${address}:0050 0:0 0A 0 0 0 0 0 7 1`).map((one) => one.address);
  assert.deepEqual(listeners('00000000'), ['0.0.0.0']);
  assert.deepEqual(listeners('0B4D0A0A'), ['10.10.77.11']);
  assert.deepEqual(listeners('00000000000000000000000000000000'), ['::']);
  assert.deepEqual(listeners('00000000000000000000000001000000'), ['::1']);
  assert.deepEqual(listeners('B80D0120000000000000000001000000'), ['2001:db8::1']);
  assert.deepEqual(listeners('0000000000000000FFFF00000100007F'), ['127.0.0.1']);
});

test('whatever stands in /proc, reading it does not fail', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void [parseMounts(text), parseListeners(text), holding(parseMounts(text), text)]));
});
