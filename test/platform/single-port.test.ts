/** A repository host with one open port: orders and data channels come to the same one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { withDeadline } from '../../src/base/deadline.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { dataTlsOptions } from '../../src/mover/tls.ts';
import { openChannelStorage } from '../../src/mover/channel-storage.ts';
import { openArchive } from '../../src/repository/archive.ts';
import { noise, openScene, setId } from '../kit/archive-scene.ts';
import { openTwoHosts } from '../kit/two-hosts.ts';

test('an archive is written and read over channels that come to the port of orders, while orders go on', { timeout: 300_000 }, async (t) => {
  const hosts = await openTwoHosts(t);
  const scene = await openScene(t);
  const contents = { a: noise(3_000_000, 1), b: noise(200_000, 2) };
  const caller = await dialOrders({ host: '127.0.0.1', port: hosts.orders.port, identity: hosts.server, version: '0' });
  const served = await hosts.served(
    setId,
    'append',
    async ({ location, keyHex }) => {
      assert.ok(location.kind === 'channel');
      assert.deepEqual(new Set(location.ports), new Set([hosts.orders.port]));
      const storage = await openChannelStorage(location, async () => hosts.identity);
      t.after(() => storage.close());
      const archive = await openArchive(storage, setId, Buffer.from(keyHex, 'hex'));
      await scene.store(archive, 'p1', contents);
      await scene.requireExact(archive, 'p1', contents);
      assert.equal((await caller.call('host.describe', {})).version, '0');
      await storage.close();
    },
    { singlePort: true },
  );
  assert.ok(served.receivedBytes > 3_000_000);
  caller.close();
});

test('a channel for a session that is not there is hung up on without an answer', async (t) => {
  const hosts = await openTwoHosts(t);
  await withDeadline('the end of the connection', 30_000, async () => {
    const socket = connect({ host: '127.0.0.1', port: hosts.orders.port, servername: 'nobody.tidemark', ...dataTlsOptions(hosts.identity), checkServerIdentity: () => undefined });
    let heard = 0;
    socket.on('data', (piece) => (heard += piece.length)).on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(heard, 0);
  });
});
