/** A gateway between the two ends of a data session: it passes everything on, understands nothing of it, and keeps nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log.ts';
import { dataSessionName } from '../../src/contract/data-channel.ts';
import { peekClientHello } from '../../src/contract/link/client-hello.ts';
import { relayChannels, type Relay, type RelayOptions } from '../../src/mover/relay.ts';
import type { ServeOptions } from '../../src/mover/serve-archive.ts';
import { dataTlsOptions } from '../../src/mover/tls.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { openCuttingProxy } from '../kit/cutting-proxy.ts';
import { asPoints, openDataSession, openHosts, servedSet, type DataSession, type Hosts } from '../kit/data-session.ts';
import { noise } from '../kit/archive-scene.ts';
import { freeRange } from '../kit/free-port.ts';
import { storageConformance } from './storage.ts';

const root = `sets/${servedSet}`;

async function openRelay(t: TestContext, ticket: string, ports: readonly number[], options: Partial<RelayOptions> = {}): Promise<Relay> {
  const relay = await relayChannels({
    asked: dataSessionName(ticket),
    host: '127.0.0.1',
    range: await freeRange(20),
    to: { host: '127.0.0.1', ports },
    portWaitMs: 1_000,
    log: silentLog,
    ...options,
  });
  t.after(async () => await relay.close());
  return relay;
}

async function openBehind(t: TestContext, options: Partial<RelayOptions> & { serve?: Partial<ServeOptions> } = {}): Promise<{ hosts: Hosts; session: DataSession; relay: Relay }> {
  const hosts = await openHosts(t);
  const { serve, ...more } = options;
  const session = await openDataSession(t, hosts, serve);
  return { hosts, session, relay: await openRelay(t, session.location.ticket, session.served.ports, more) };
}

storageConformance('a data channel through a gateway', async (t) => {
  const hosts = await openHosts(t);
  const open = async (): Promise<Storage> => {
    const session = await openDataSession(t, hosts);
    const relay = await openRelay(t, session.location.ticket, session.served.ports);
    return asPoints(await session.open({ ports: [...relay.ports] }), root);
  };
  return { storage: await open(), again: open };
});

/** What a peer hears before it is hung up on; undefined where it stays open. */
async function heard(port: number, say: Buffer | ConnectionOptions): Promise<string> {
  return await withDeadline('the end of the connection', 20_000, async () => {
    const socket: Socket = Buffer.isBuffer(say) ? connect(port, '127.0.0.1') : connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...say });
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece)).on('error', () => {});
    if (Buffer.isBuffer(say)) socket.write(say);
    await new Promise((resolve) => socket.once('close', resolve));
    return Buffer.concat(pieces).toString('latin1');
  });
}

test('who does not know the session\'s name gets not a byte of a gateway, and nobody is dialled for it', async (t) => {
  let dialled = 0;
  const behind = createServer((socket) => {
    dialled += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => behind.listen(0, '127.0.0.1', resolve));
  t.after(() => behind.close());
  const { port } = behind.address() as AddressInfo;
  const ticket = 'c'.repeat(64);
  const relay = await openRelay(t, ticket, [port, port]);
  const node = dataTlsOptions((await openHosts(t)).node);
  for (const say of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(5_000, 0xff), Buffer.from([22, 3, 1, 0xff, 0xff]), { ...node, servername: dataSessionName('d'.repeat(64)) }, { ...node, servername: dataSessionName(ticket), ALPNProtocols: ['h2'] }]) {
    assert.equal(await heard(relay.ports[0]!, say), '');
  }
  assert.equal(dialled, 0);
  assert.equal(await heard(relay.ports[1]!, { ...node, servername: dataSessionName(ticket) }), '');
  assert.equal(dialled, 1, 'one that knows it is passed on');
});

test('what passes a gateway has no plain byte, no ticket and no name of an object in it, and the far end is who the certificate says', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts);
  const crossed: Buffer[] = [];
  const tap = createServer((near) => {
    const far = connect(session.served.ports[0]!, '127.0.0.1');
    near.on('data', (piece) => crossed.push(piece)).on('error', () => far.destroy());
    far.on('data', (piece) => crossed.push(piece)).on('error', () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
  t.after(() => tap.close());
  const relay = await openRelay(t, session.location.ticket, [(tap.address() as AddressInfo).port, session.served.ports[1]!]);
  const storage = await session.open({ ports: relay.ports.slice(0, 1) });
  const marker = Buffer.alloc(200_000, 'a word that must not be seen ');
  await storage.put(`${root}/points/p1`, marker, 'new');
  assert.ok(Buffer.from(await storage.read(`${root}/points/p1`)).equals(marker));
  const all = Buffer.concat(crossed);
  assert.ok(all.length > 2 * marker.length && relay.relayedBytes >= all.length, `${all.length} bytes crossed, ${relay.relayedBytes} were counted`);
  for (const secret of ['a word that must', session.location.ticket, 'points/p1']) assert.ok(!all.includes(secret), secret);
  await assert.rejects(session.open({ ports: relay.ports.slice(1), name: 'store2' }), { code: 'mover.host-not-trusted' });
  await assert.rejects(session.open({ ports: relay.ports.slice(1), ticket: 'f'.repeat(64) }, { reachMs: 1_000 }), { code: 'mover.host-not-reached' });
});

for (const side of ['before', 'behind'] as const) {
  test(`connections cut ${side} the gateway, time and again: the ends resume, and what arrives is whole`, async (t) => {
    const hosts = await openHosts(t);
    const session = await openDataSession(t, hosts);
    const behind = side === 'behind' ? await openCuttingProxy(t, session.served.ports) : undefined;
    const relay = await openRelay(t, session.location.ticket, behind?.ports ?? session.served.ports);
    const before = side === 'before' ? await openCuttingProxy(t, relay.ports) : undefined;
    const storage = await session.open({ ports: [...(before?.ports ?? relay.ports)] });
    const bytes = noise(6_000_000, 7);
    const writer = await storage.create(`${root}/packs/aa/aa1`);
    for (let at = 0; at < bytes.length; at += 500_000) {
      await writer.append(bytes.subarray(at, at + 500_000));
      if (at % 1_500_000 === 0) (before ?? behind)!.cutAll();
    }
    await writer.commit();
    const store = await openDirectory(join(hosts.directory, 'store'));
    assert.ok(Buffer.from(await store.read(`${root}/packs/aa/aa1`)).equals(bytes));
  });
}

test('in single-port mode all channels come to one port and each goes on to a port of its own', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts);
  let relay: Relay | undefined;
  const orders = createServer((socket) => peekClientHello(socket, (_, first) => relay!.adopt(socket, first)));
  await new Promise<void>((resolve) => orders.listen(0, '127.0.0.1', resolve));
  t.after(() => orders.close());
  const { port } = orders.address() as AddressInfo;
  relay = await openRelay(t, session.location.ticket, session.served.ports, { singlePort: port });
  assert.deepEqual([...relay.ports], session.served.ports.map(() => port));
  const [task, mount] = [await session.open({ ports: relay.ports.slice(0, 2) }), await session.open({ ports: relay.ports.slice(2) })];
  const bytes = noise(1_000_000, 3);
  await task.put(`${root}/points/p1`, bytes, 'new');
  assert.ok(Buffer.from(await mount.read(`${root}/points/p1`)).equals(bytes));
});

test('a gateway with fewer free ports than the session has takes those, and one that is used up says so within its deadline', async (t) => {
  const { session } = await openBehind(t);
  const range = await freeRange(2);
  const few = await openRelay(t, session.location.ticket, session.served.ports, { range });
  assert.equal(few.ports.length, 2);
  let waits = 0;
  await assert.rejects(openRelay(t, session.location.ticket, session.served.ports, { range, portWaitMs: 400, onWaitForPorts: () => (waits += 1) }), { code: 'mover.ports-used-up' });
  assert.equal(waits, 1);
});

test('a connection without a byte in either direction is ended, and a gateway that nobody uses ends by itself', async (t) => {
  const open = new Set<Socket>();
  const silent = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket)).resume();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.close());
  const ticket = 'e'.repeat(64);
  const { port } = silent.address() as AddressInfo;
  const relay = await openRelay(t, ticket, [port, port], { quietMs: 300, keepMs: 300 });
  const node = dataTlsOptions((await openHosts(t)).node);
  assert.equal(await heard(relay.ports[0]!, { ...node, servername: dataSessionName(ticket) }), '');
  await until('the far end to be closed', 5_000, () => (open.size === 0 ? true : undefined));
  assert.equal(await withDeadline('the end of the relay', 10_000, async () => await relay.ended), 'left alone');
  await assert.rejects(once(connect(relay.ports[0]!, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' }, 'its ports are closed');
});
