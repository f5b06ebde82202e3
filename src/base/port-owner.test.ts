import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenersIn } from './port-owner.ts';

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1812 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 98765 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1812 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 11111 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:24CB 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 22222 1 0000000000000000 100 0 0 10 0`;

test('only the listener on the port is found in the kernel\'s table', () => {
  assert.deepEqual(listenersIn(table, 6162), [{ socket: 'socket:[98765]', uid: 0 }]);
  assert.deepEqual(listenersIn(table, 9419), [{ socket: 'socket:[22222]', uid: 33 }]);
  assert.deepEqual(listenersIn(table, 53), []);
});
