import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { withDeadline } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { openChannelStorage } from '../../src/mover/channel-storage.ts';
import { requestRefused } from '../../src/mover/failures.ts';
import type { ServeOptions } from '../../src/mover/serve-archive.ts';
import { dataTlsOptions } from '../../src/mover/tls.ts';
import { encodeMessage } from '../../src/mover/wire.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { asPoints, openDataSession, openHosts, servedSet } from '../kit/data-session.ts';
import { memoryStorage } from '../kit/memory-storage.ts';
import { storageConformance } from './storage.ts';

const root = `sets/${servedSet}`;
const span = '0000000000000001-0000000000000002';

storageConformance('a data channel', async (t) => {
  const hosts = await openHosts(t);
  const open = async (): Promise<Storage> => asPoints(await (await openDataSession(t, hosts)).open(), root);
  return { storage: await open(), again: open };
});

const refused = { code: 'mover.request-refused' };

/** What was in the archive before any session: an object of each kind that a stolen host would like to be rid of. */
async function openWithOld(t: TestContext, options: Partial<ServeOptions> = {}) {
  const hosts = await openHosts(t);
  const store = await openDirectory(join(hosts.directory, 'store'), { create: true });
  const old = [`${root}/packs/aa/aa1`, `${root}/index/i1`, `${root}/points/p1`, `${root}/leases/writer-1`, `${root}/oplog/c1/slices/4e20/${span}`, `${root}/chains/c1`, `sets/${'b'.repeat(24)}/points/p1`, 'tidemark.json'];
  for (const name of old) await store.put(name, Buffer.from('old'), 'new');
  const session = await openDataSession(t, hosts, options);
  return { hosts, store, old, session, storage: await session.open() };
}

test('a data channel: nothing that was there before the session can be deleted or replaced by it', async (t) => {
  const { store, old, storage } = await openWithOld(t);
  for (const name of old) {
    await assert.rejects(storage.delete(name), refused, name);
    await assert.rejects(storage.put(name, Buffer.from('mine'), 'replace'), refused, name);
    await storage.put(name, Buffer.from('mine'), 'new').then((answer) => assert.equal(answer, 'exists'), (error: unknown) => assert.ok(isFailure(error, requestRefused)));
    await assert.rejects(async () => {
      const writer = await storage.create(name);
      await writer.append(Buffer.from('mine'));
      await writer.commit();
    }, refused, name);
    assert.equal(Buffer.from(await store.read(name)).toString(), 'old');
  }
});

test('a data channel: a session takes back what it made and may withdraw, and never a pack', async (t) => {
  const { storage } = await openWithOld(t);
  await storage.put(`${root}/points/p2`, Buffer.from('new'), 'new');
  await storage.put(`${root}/leases/writer-2`, Buffer.from('new'), 'replace');
  await storage.put(`${root}/leases/writer-2`, Buffer.from('renewed'), 'replace');
  for (const name of [`${root}/points/p2`, `${root}/leases/writer-2`]) {
    await storage.delete(name);
    assert.equal(await storage.stat(name), undefined);
  }
  await storage.put(`${root}/packs/bb/bb1`, Buffer.from('new'), 'new');
  await assert.rejects(storage.delete(`${root}/packs/bb/bb1`), refused);
});

test('a data channel: the sign of a chain\'s writer may be taken over from a session that was killed', async (t) => {
  const { store, storage } = await openWithOld(t);
  const sign = `${root}/oplog/c1/writer`;
  await store.put(sign, Buffer.from('of a dead one'), 'replace');
  assert.equal(await storage.put(sign, Buffer.from('mine'), 'replace'), 'stored');
  await storage.delete(sign);
  assert.equal(await store.stat(sign), undefined);
});

test('a data channel: a host has its own archive retained for as long as the side that serves says, and nothing else', async (t) => {
  const hosts = await openHosts(t);
  let nowMs = Date.now();
  const store = memoryStorage(() => nowMs, { days: 30, mode: null });
  for (const name of ['tidemark.json', 'tidemark-copy.json', `archives/${servedSet}`]) await store.put(name, Buffer.from('{}'), 'new');
  const slice = `${root}/oplog/c1/slices/4e20/${span}`;
  nowMs += 20 * 86_400_000;
  const storage = await (await openDataSession(t, hosts, { storage: store })).open();
  await storage.put(slice, Buffer.from('slice'), 'new');
  await storage.put(`${root}/points/p1`, Buffer.from('point'), 'new');
  await storage.retention!.retain([slice, `archives/${servedSet}`]);
  for (const name of [slice, `${root}/points/p1`]) await assert.rejects(storage.delete(name), { code: 'repository.object-retained' }, name);
  for (const untilMs of await store.retention!.until!([slice, `archives/${servedSet}`, 'tidemark.json'])) assert.ok(untilMs! >= nowMs + 30 * 86_400_000);
  for (const name of [`sets/${'b'.repeat(24)}/points/p1`, 'tidemark.json', `${root}/leases/writer-1`]) await assert.rejects(storage.retention!.retain([name]), refused, name);
  const reading = await (await openDataSession(t, hosts, { storage: store, right: 'read' })).open();
  await assert.rejects(reading.retention!.retain([slice]), refused);
});

test('a data channel: nothing outside the archive is read, listed or written', async (t) => {
  const { storage } = await openWithOld(t);
  const other = `sets/${'b'.repeat(24)}/points/p1`;
  for (const name of [other, 'tidemark.json', `${root}/../${'b'.repeat(24)}/points/p1`, '../store/tidemark.json']) {
    await assert.rejects(storage.read(name), refused, name);
    await assert.rejects(storage.stat(name), refused, name);
    await assert.rejects(storage.put(name, Buffer.from('x'), 'new'), refused, name);
    await assert.rejects(storage.create(name), refused, name);
  }
  for (const prefix of ['sets/', `sets/${'b'.repeat(24)}/`, `${root}/../`]) await assert.rejects(Array.fromAsync(storage.list(prefix)), refused, prefix);
});

test('a data channel: a session that may only read writes nothing', async (t) => {
  const { storage } = await openWithOld(t, { right: 'read' });
  assert.equal(Buffer.from(await storage.read(`${root}/points/p1`)).toString(), 'old');
  await assert.rejects(storage.put(`${root}/points/p2`, Buffer.from('x'), 'new'), refused);
  await assert.rejects(storage.create(`${root}/packs/aa/aa2`), refused);
  await assert.rejects(storage.delete(`${root}/points/p1`), refused);
});

test('a data channel: a wrong ticket is refused, and so is another host, another part and another authority', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts);
  await assert.rejects(session.open({ ticket: 'f'.repeat(64) }), { code: 'mover.channel-refused' });
  await assert.rejects(session.open({ name: 'store2' }), { code: 'mover.host-not-trusted' });
  const strangers = [
    await hosts.authority.issue({ part: 'transport', name: 'node2', hosts: [] }),
    await hosts.authority.issue({ part: 'server', name: 'node1', hosts: [] }),
    await hosts.authority.issue({ part: 'transport', name: 'node1', hosts: [], days: -1 }),
    { ...(await openHosts(t)).node, caPem: hosts.node.caPem },
  ];
  for (const stranger of strangers) await assert.rejects(openChannelStorage(session.location, async () => stranger, { reachMs: 1_000 }), { code: 'mover.host-not-reached' });
  assert.deepEqual(session.served.counts, { receivedBytes: 0, sentBytes: 0 });
});

test('a data channel: a ticket opens nothing once its session has ended, and nothing of the next one on the same ports', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts);
  await (await session.open()).put(`${root}/points/p1`, Buffer.from('x'), 'new');
  await session.served.close();
  await assert.rejects(session.open({}, { reachMs: 500 }), { code: 'mover.host-not-reached' });
  const [first] = session.served.ports;
  const next = await openDataSession(t, hosts, { range: { from: first!, to: first! + 19 } });
  assert.equal(next.served.ports[0], first);
  await assert.rejects(session.open({ ports: [first!] }), { code: 'mover.channel-refused' });
  assert.deepEqual(next.served.counts, { receivedBytes: 0, sentBytes: 0 });
});

test('a data channel: a peer without a certificate gets no byte, and one that does not greet is hung up on', async (t) => {
  const hosts = await openHosts(t);
  const { served } = await openDataSession(t, hosts);
  const heard = async (options: ConnectionOptions, say: Buffer): Promise<string> =>
    await withDeadline('the end of the connection', 20_000, async () => {
      const socket = connectTls({ host: '127.0.0.1', port: served.ports[0]!, rejectUnauthorized: false, minVersion: 'TLSv1.3', ...options });
      const pieces: Buffer[] = [];
      socket.on('data', (piece: Buffer) => pieces.push(piece)).on('error', () => {});
      socket.once('secureConnect', () => socket.write(say));
      await new Promise((resolve) => socket.once('close', resolve));
      return Buffer.concat(pieces).toString('latin1');
    });
  const node = dataTlsOptions(hosts.node);
  assert.equal(await heard({ ALPNProtocols: node.ALPNProtocols }, encodeMessage(1, 'stat', { name: 'x' })), '');
  assert.equal(await heard({ ...node, ALPNProtocols: [] }, Buffer.from('GET / HTTP/1.1\r\n\r\n')), '');
  assert.match(await heard(node, encodeMessage(1, 'stat', { name: 'x' })), /mover\.message-broken/);
  assert.match(await heard(node, Buffer.alloc(100, 0xff)), /mover\.message-broken/);
});

test('a data channel: another process of the task cannot take a channel that is in use', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts, { channels: 2 });
  const first = await session.open({ ports: session.location.ports.slice(0, 1) });
  await assert.rejects(session.open({ ports: session.location.ports.slice(0, 1) }, { reachMs: 1_000 }), { code: 'mover.channel-taken' });
  await session.open({ ports: session.location.ports.slice(1) });
  assert.equal(await first.stat(`${root}/points/p1`), undefined);
});

test('a data channel: a limit of bandwidth holds over all channels together', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts);
  const storage = await session.open({ limits: [{ mbitPerSecond: 16, from: '00:00', to: '00:00' }] });
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: 6 }, async (_, k) => await storage.put(`${root}/points/p${k}`, Buffer.alloc(500_000), 'new')));
  // 3 MB at 2 MB/s, less what passes at once and the last one, which starts the wait of the next.
  assert.ok(performance.now() - startedMs > 950, `took ${performance.now() - startedMs} ms`);
});

test('a data channel: who waits for a slow line is told of it, and does not take the channel for a dead one', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts, { limits: [{ mbitPerSecond: 1, from: '00:00', to: '00:00', of: 'host' }], pace: async () => await Promise.resolve(1_500), patienceMs: 100 });
  const storage = await session.open({}, { answerMs: 500 });
  assert.equal(await storage.put(`${root}/points/slow`, Buffer.from('at last'), 'new'), 'stored');
  assert.equal(Buffer.from(await storage.read(`${root}/points/slow`)).toString(), 'at last');
});
