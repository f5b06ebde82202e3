import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Connection } from 'mongodb/lib/cmap/connection.js';
import { withDeadline } from '../base/deadline.ts';
import './connect.ts';

async function pair(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  t.after(() => [near, far, server].forEach((each) => ('destroy' in each ? each.destroy() : each.close())));
  return { near, far };
}

const command = (bytes: number) => ({ toBin: async () => await Promise.resolve([Buffer.alloc(bytes)]) });

async function write(socket: Socket, bytes: number): Promise<void> {
  const connection = Object.assign(Object.create(Connection.prototype) as Connection, { socket, error: null, onError: () => {} });
  await withDeadline('the write to end', 5_000, async () => await connection.writeCommand(command(bytes), { agreedCompressor: 'none' }));
}

const network = { name: 'MongoNetworkError' };

test('a command is written to a socket that is there', async (t) => {
  const { near, far } = await pair(t);
  await write(near, 100);
  const [piece] = (await once(far, 'data')) as [Buffer];
  assert.equal(piece.length, 100);
  assert.equal(near.listenerCount('close'), 0);
});

test('a command for a connection that was closed a moment before fails at once, and does not hang', async (t) => {
  const { near } = await pair(t);
  near.destroy();
  await assert.rejects(write(near, 100), network);
});

test('a connection that is closed between the order and the write ends the write', async (t) => {
  const { near } = await pair(t);
  const written = write(near, 100);
  near.destroy();
  await assert.rejects(written, network);
});

test('a connection that is closed while a large command waits for room ends the write', async (t) => {
  const { near, far } = await pair(t);
  const written = write(near, 64 << 20);
  written.catch(() => {});
  await once(far, 'data');
  far.destroy();
  await assert.rejects(written, (error: Error & { code?: string }) => error.name === 'MongoNetworkError' || error.code === 'ECONNRESET' || error.code === 'EPIPE');
});
