import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLocation, sharedPorts } from './open-location.ts';

test('a mover and its mount have every port between them, and none in common', () => {
  for (const count of [2, 3, 4, 7]) {
    const ports = Array.from({ length: count }, (_, k) => 2500 + k);
    const [task, mount] = [sharedPorts(ports, 'task'), sharedPorts(ports, 'mount')];
    assert.deepEqual([...task, ...mount], ports);
    assert.ok(task.length > 0 && mount.length > 0);
    assert.deepEqual(sharedPorts(ports, 'all'), ports);
  }
});

test('a host without an identity fails at once, and says which file it looked for', async () => {
  const location = { kind: 'channel' as const, host: '127.0.0.1', name: 'store1', ports: [1], ticket: '0'.repeat(64), limits: [] };
  await assert.rejects(openLocation({ location, secret: null }, undefined, 'all'), { code: 'mover.identity-missing' });
  await assert.rejects(openLocation({ location, secret: null }, '/nowhere/identity.json', 'all'), /nowhere\/identity\.json/);
});
