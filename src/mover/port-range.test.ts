import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { bindPorts, closeServer } from './port-range.ts';
import { freeRange } from '../../test/kit/free-port.ts';

async function openRange(t: TestContext, ports: number) {
  const range = await freeRange(ports);
  return async (wanted: number, options: { waitMs?: number; onWait?: () => void } = {}): Promise<{ port: number; server: Server }[]> => {
    const bound = await bindPorts({ host: '127.0.0.1', range, wanted, least: 2, waitMs: 30_000, clock: systemClock, open: () => createServer(), ...options });
    t.after(() => bound.map(({ server }) => server.close()));
    return bound;
  };
}

test('each connection has a port for itself, and a session takes what is free', async (t) => {
  const bind = await openRange(t, 5);
  const first = await bind(3);
  const second = await bind(3);
  assert.deepEqual([first.length, second.length], [3, 2]);
  assert.equal(new Set([...first, ...second].map(({ port }) => port)).size, 5);
});

test('a session that finds the range used up waits until ports are given back, and says so', async (t) => {
  const bind = await openRange(t, 4);
  const first = await bind(4);
  const waits = Promise.withResolvers<void>();
  const second = bind(2, { onWait: waits.resolve });
  await waits.promise;
  await Promise.all(first.map(async ({ server }) => await closeServer(server)));
  assert.equal((await second).length, 2);
});

test('a session that waits longer than it may fails with the range and its wait', async (t) => {
  const bind = await openRange(t, 3);
  await bind(2);
  await assert.rejects(bind(2, { waitMs: 300 }), { code: 'mover.ports-used-up' });
  // What the one that failed had taken is free again.
  await assert.rejects(bind(2, { waitMs: 0 }), { code: 'mover.ports-used-up' });
});
