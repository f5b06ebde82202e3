import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { readClientHello } from './client-hello.ts';

async function helloOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ...options });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const pieces: Buffer[] = [];
  while (readClientHello(Buffer.concat(pieces)) === 'more') pieces.push((await once(socket, 'data'))[0]);
  client.destroy();
  socket.destroy();
  server.close();
  return Buffer.concat(pieces);
}

test('the name and the protocols of a client are read, whatever is missing, and wherever it is cut there is more to come', async () => {
  const whole = await helloOf({ servername: 'abc.tidemark', ALPNProtocols: ['tidemark-data/1', 'h2'] });
  assert.deepEqual(readClientHello(whole), { serverName: 'abc.tidemark', protocols: ['tidemark-data/1', 'h2'] });
  for (const cut of [0, 1, 4, 5, 50, whole.length - 1]) assert.equal(readClientHello(whole.subarray(0, cut)), 'more');
  assert.deepEqual(readClientHello(await helloOf({ servername: '' })), { serverName: undefined, protocols: [] });
});

test('what is not TLS, or lies about its lengths, is something else', async () => {
  assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1\r\n\r\n')), 'other');
  const whole = await helloOf({ servername: 'abc.tidemark' });
  for (let at = 5; at < whole.length; at++) {
    const lie = Buffer.from(whole);
    lie[at] = 0xff;
    assert.notEqual(readClientHello(lie), 'more');
  }
});
