/** The network between two hosts breaks, at any byte; or one of the two ends dies. */
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { FromMover } from '../../src/agent/task-runner.ts';
import { systemClock } from '../../src/base/clock.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { fromWire } from '../../src/base/failure.ts';
import { openChannelStorage } from '../../src/mover/channel-storage.ts';
import { bindPorts, closeServer } from '../../src/mover/port-range.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { noise, openScene, openTestArchive, setId } from '../kit/archive-scene.ts';
import type { WriterJob } from '../kit/channel-writer.ts';
import { openCuttingProxy, type CuttingProxy } from '../kit/cutting-proxy.ts';
import { openDataSession, openHosts, servedSet, type DataSession, type Hosts } from '../kit/data-session.ts';
import { freeRange } from '../kit/free-port.ts';

const root = `sets/${servedSet}`;
const minuteMs = 60_000;
const pack = noise(600_000, 1);

/** Every call there is, with every answer checked. */
async function workThrough(storage: Storage, round: string): Promise<void> {
  const point = `${root}/points/${round}`;
  assert.equal(await storage.put(`${root}/leases/writer-${round}`, Buffer.from('here'), 'replace'), 'stored');
  assert.equal(await storage.put(point, Buffer.from(round), 'new'), 'stored');
  const writer = await storage.create(`${root}/packs/aa/${round}`);
  for (let at = 0; at < pack.length; at += 50_000) await writer.append(pack.subarray(at, at + 50_000));
  await writer.commit();
  const dropped = await storage.create(`${root}/packs/aa/${round}-dropped`);
  await dropped.append(pack.subarray(0, 1000));
  await dropped.abort();
  assert.ok(pack.equals(await storage.read(`${root}/packs/aa/${round}`)));
  assert.ok(pack.subarray(1000, 201_000).equals(await storage.read(`${root}/packs/aa/${round}`, { from: 1000, bytes: 200_000 })));
  assert.deepEqual((await Array.fromAsync(storage.list(`${root}/packs/aa/${round}`))).map(({ name, bytes }) => [name, bytes]), [[`${root}/packs/aa/${round}`, pack.length]]);
  assert.equal((await storage.stat(point))?.bytes, round.length);
  await storage.delete(point);
  assert.equal(await storage.stat(point), undefined);
  await storage.delete(`${root}/leases/writer-${round}`);
  assert.ok((await storage.freeBytes())! > 0);
}

type Scene = { hosts: Hosts; session: DataSession; proxy: CuttingProxy };

async function openCutScene(t: TestContext, channels = 2): Promise<Scene> {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts, { channels });
  return { hosts, session, proxy: await openCuttingProxy(t, session.location.ports) };
}

test('a connection that is cut at any byte of any call changes no answer and leaves nothing twice', async (t) => {
  const { hosts, session, proxy } = await openCutScene(t);
  const storage = await session.open({ ports: proxy.ports.slice(0, 1) });
  const beforeBytes = proxy.bytes;
  await workThrough(storage, 'uncut');
  const callBytes = proxy.bytes - beforeBytes;
  const cutPoints = 48;
  for (let k = 0; k < cutPoints; k++) {
    const from = proxy.bytes;
    proxy.cutAt(from + 1 + Math.floor((callBytes * k) / cutPoints) + (k % 7));
    await withDeadline(`round ${k}`, minuteMs, async () => await workThrough(storage, `r${k}`));
  }
  assert.equal(proxy.cuts, cutPoints);
  const store = join(hosts.directory, 'store');
  assert.deepEqual((await readdir(join(store, root, 'packs/aa'))).sort(), ['uncut', ...Array.from({ length: cutPoints }, (_, k) => `r${k}`)].sort());
  assert.deepEqual([await readdir(join(store, root, 'points')), await readdir(join(store, root, 'leases')), await readdir(join(store, '.tmp'))], [[], [], []]);
});

test('after a cut, pieces that were acknowledged are not sent again', async (t) => {
  const { session, proxy } = await openCutScene(t, 3);
  const windowBytes = 256 << 10;
  const storage = await session.open({ ports: proxy.ports }, { windowBytes });
  const big = noise(8 << 20, 2);
  const cuts = 8;
  const writer = await storage.create(`${root}/packs/bb/big`);
  for (let at = 0; at < big.length; at += 64 << 10) {
    if (at % (big.length / cuts) === 0) proxy.cutAt(proxy.bytes + 200_000);
    await writer.append(big.subarray(at, at + (64 << 10)));
  }
  await writer.commit();
  assert.ok(big.equals(await storage.read(`${root}/packs/bb/big`)));
  const again = storage.sentBytes - big.length;
  t.diagnostic(`${proxy.cuts} cuts, ${again} of ${big.length} bytes sent again`);
  assert.ok(proxy.cuts >= cuts - 1);
  // Of a cut line at most what its window holds, and one piece more, was not acknowledged.
  assert.ok(again <= proxy.cuts * (windowBytes + (64 << 10)), `${again} bytes were sent again after ${proxy.cuts} cuts`);
});

test('a restore point stored and read back over channels that are cut all the time is exact', async (t) => {
  const hosts = await openHosts(t);
  await openTestArchive(await openDirectory(join(hosts.directory, 'store'), { create: true }));
  const session = await openDataSession(t, hosts, { setId });
  const proxy = await openCuttingProxy(t, session.location.ports);
  const storage = await session.open({ ports: proxy.ports });
  const scene = await openScene(t);
  const archive = await openTestArchive(storage);
  const contents = { a: noise(5_000_000, 3), b: noise(300_000, 4), c: Buffer.alloc(2_000_000) };
  proxy.cutAt(proxy.bytes + 1_000_000);
  await scene.store(archive, 'p1', contents);
  const changed = { ...contents, a: Buffer.concat([contents.a.subarray(0, 4_000_000), noise(1_000_000, 5)]) };
  proxy.cutAt(proxy.bytes + 300_000);
  await scene.store(archive, 'p2', changed);
  for (const [id, content] of [['p1', contents], ['p2', changed]] as const) {
    proxy.cutAt(proxy.bytes + 2_000_000);
    await scene.requireExact(archive, id, content);
  }
  assert.equal(proxy.cuts, 4);
  assert.deepEqual(await readdir(join(hosts.directory, 'store', 'sets', setId, 'leases')), []);
  const local = await openTestArchive(await openDirectory(join(hosts.directory, 'store')));
  const report = await local.check({ readDataPercent: 100 });
  assert.deepEqual([report.ok, report.damage], [true, []]);
});

test('a network that is away for a while is waited for, and one that stays away fails with its reason', async (t) => {
  const { session, proxy } = await openCutScene(t);
  const storage = await session.open({ ports: proxy.ports }, { keptMs: 4_000 });
  proxy.setOpen(false);
  proxy.cutAll();
  const later = storage.put(`${root}/points/p1`, Buffer.from('x'), 'new');
  await until('dials in vain', minuteMs, () => (proxy.hungUp > 3 ? true : undefined));
  proxy.setOpen(true);
  assert.equal(await withDeadline('the network to be back', minuteMs, async () => await later), 'stored');
  proxy.setOpen(false);
  proxy.cutAll();
  await assert.rejects(withDeadline('the session to be lost', minuteMs, async () => await storage.stat(`${root}/points/p1`)), { code: 'mover.session-lost' });
  await assert.rejects(storage.put(`${root}/points/p2`, Buffer.from('x'), 'new'), { code: 'mover.session-lost' });
});

test('a session whose client is killed ends by itself, and its lease, its sign and its unfinished objects go with it', async (t) => {
  const hosts = await openHosts(t);
  const session = await openDataSession(t, hosts, { keepMs: 2_000 });
  const child = fork(join(import.meta.dirname, '../kit/channel-writer.ts'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  child.send({ location: session.location, identity: hosts.node, root } satisfies WriterJob);
  await withDeadline('the client to be at work', minuteMs, async () => await new Promise((resolve) => child.once('message', resolve)));
  child.kill('SIGKILL');
  assert.equal(await withDeadline('the session to end', minuteMs, async () => await session.served.ended), 'left alone');
  const store = await openDirectory(join(hosts.directory, 'store'));
  assert.deepEqual((await Array.fromAsync(store.list(''))).map(({ name }) => name), [`${root}/points/p1`]);
  assert.deepEqual(await readdir(join(hosts.directory, 'store', '.tmp')), []);
});

type Served = { child: ChildProcess; ports: number[]; ended: Promise<unknown> };

/** The task `serve-archive` in a mover of its own, as a transport runs it. */
async function startServing(t: TestContext, hosts: Hosts, ticket: string): Promise<Served> {
  const { keyPem, certificatePem, caPem } = hosts.repository;
  const identityFile = join(hosts.directory, 'store1.json');
  await writeFile(identityFile, JSON.stringify({ keyPem, certificatePem, caPem }));
  const child = fork(join(import.meta.dirname, '../../src/main/mover.ts'), [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const input = { location: { kind: 'directory', path: join(hosts.directory, 'store') }, setId: servedSet, right: 'append', peer: 'node1', ticket, listen: '127.0.0.1', range: await freeRange(20), channels: 2 };
  const ready = new Promise<number[]>((resolve, reject) => {
    child.on('message', (message: FromMover) => {
      if (message.kind === 'failed') reject(fromWire(message.failure));
      if (message.kind === 'event' && message.event.kind === 'status') resolve((message.event.value as { ports: number[] }).ports);
    });
  });
  child.send({ kind: 'run', task: { taskId: 't', kind: 'serve-archive', input, directory: hosts.directory, keepDirectory: hosts.directory, programs: {}, identityFile } });
  return { child, ports: await withDeadline('the serving task', minuteMs, async () => await ready), ended };
}

test('a serving end that is killed fails its client with a reason, and shows nothing that was not finished', async (t) => {
  const hosts = await openHosts(t);
  await openDirectory(join(hosts.directory, 'store'), { create: true });
  const ticket = randomBytes(32).toString('hex');
  const served = await startServing(t, hosts, ticket);
  const storage = await openChannelStorage({ kind: 'channel', host: '127.0.0.1', name: 'store1', ports: served.ports, ticket, limits: [] }, async () => hosts.node, { keptMs: 2_000 });
  t.after(() => storage.close());
  await storage.put(`${root}/points/p1`, Buffer.from('stays'), 'new');
  const writer = await storage.create(`${root}/packs/aa/half`);
  await writer.append(pack);
  served.child.kill('SIGKILL');
  await served.ended;
  await assert.rejects(withDeadline('the client to give up', minuteMs, async () => await writer.commit()), { code: 'mover.session-lost' });
  const store = await openDirectory(join(hosts.directory, 'store'));
  assert.deepEqual((await Array.fromAsync(store.list(''))).map(({ name }) => name), [`${root}/points/p1`]);
});

test('a task that is asked to stop while the other end is gone is not kept waiting for it', async (t) => {
  const { session, proxy } = await openCutScene(t);
  const stop = new AbortController();
  const storage = await session.open({ ports: proxy.ports }, { stop: stop.signal });
  const put = async (name: string): Promise<unknown> => await storage.put(`${root}/points/${name}`, Buffer.from('x'), 'new').catch((error: { code: string }) => error.code);
  stop.abort();
  assert.equal(await put('p1'), 'stored', 'what it has to say while the other end is there is said');
  proxy.setOpen(false);
  proxy.cutAll();
  const cutMs = performance.now();
  assert.equal(await withDeadline('the end of the waiting', 15_000, async () => await put('p2')), 'mover.session-lost');
  assert.ok(performance.now() - cutMs > 2_500, 'a short cut is still waited through');
});

test('a serving task that is stopped closes its ports, drops what is unfinished and says what went through', async (t) => {
  const hosts = await openHosts(t);
  await openDirectory(join(hosts.directory, 'store'), { create: true });
  const ticket = randomBytes(32).toString('hex');
  const served = await startServing(t, hosts, ticket);
  const storage = await openChannelStorage({ kind: 'channel', host: '127.0.0.1', name: 'store1', ports: served.ports, ticket, limits: [] }, async () => hosts.node, { keptMs: 1_000 });
  t.after(() => storage.close());
  await storage.put(`${root}/leases/writer-1`, Buffer.from('here'), 'replace');
  const writer = await storage.create(`${root}/packs/aa/half`);
  await writer.append(pack);
  const output = new Promise((resolve) => served.child.on('message', (message: FromMover) => void (message.kind === 'finished' && resolve(message.output))));
  served.child.send({ kind: 'stop' });
  const { why, receivedBytes } = (await withDeadline('the task to end', minuteMs, async () => await output)) as { why: string; receivedBytes: number };
  assert.equal(why, 'stopped');
  assert.ok(receivedBytes >= 4);
  assert.equal(await withDeadline('its process to end', minuteMs, async () => await served.ended), 0);
  const store = await openDirectory(join(hosts.directory, 'store'));
  assert.deepEqual(await Array.fromAsync(store.list('')), []);
  assert.deepEqual(await readdir(join(hosts.directory, 'store', '.tmp')), []);
  await until('its ports to be free', minuteMs, async () => ((await areFree(served.ports)) ? true : undefined));
});

async function areFree(ports: readonly number[]): Promise<boolean> {
  const bound = await bindPorts({ host: '127.0.0.1', range: { from: ports[0]!, to: ports.at(-1)! }, wanted: ports.length, least: 1, waitMs: 0, clock: systemClock, open: () => createServer() });
  await Promise.all(bound.map(async ({ server }) => await closeServer(server)));
  return bound.length === ports.length;
}
