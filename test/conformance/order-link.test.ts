/** The order link: calls, events, cancel, deadlines and the end of a link, whoever dialled; and everyone it refuses. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '../../src/base/clock.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { openLog, silentLog } from '../../src/base/log.ts';
import { answerOrders, type OrderHandlers } from '../../src/contract/link/answerer.ts';
import { openCaller } from '../../src/contract/link/caller.ts';
import { dialLink, dialOrders } from '../../src/contract/link/dial.ts';
import { listenForLinks, openOrderServer, type LinkListener } from '../../src/contract/link/listen.ts';
import { admitPart, type LinkIdentity } from '../../src/contract/link/trust.ts';
import { openAuthority, type Authority } from '../../src/server/authority.ts';
import { taskUnknown } from '../../src/agent/failures.ts';

const answers = {
  'host.describe': () => Promise.resolve({ version: '1', contract: 1, hostname: 'h', platform: 'linux-x64', timeMs: 1, findings: [] }),
  'task.list': () => Promise.resolve({ tasks: [] }),
} as const;

const handlersWith = (some: Partial<OrderHandlers>): OrderHandlers =>
  new Proxy(some as OrderHandlers, {
    get: (given, name: keyof OrderHandlers) => given[name] ?? (answers as Partial<OrderHandlers>)[name] ?? (() => Promise.reject(new Error(`${name} is not scripted`))),
  });

let directory: string;
let authority: Authority;
let server: LinkIdentity;
let transport: LinkIdentity;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tm-link-'));
  authority = await openAuthority(join(directory, 'a'), systemClock, async () => {});
  server = await authority.issue({ part: 'server', name: 'server', hosts: ['127.0.0.1'] });
  transport = await authority.issue({ part: 'transport', name: 'local', hosts: ['127.0.0.1'] });
});
after(async () => await rm(directory, { recursive: true, force: true }));

type Given = Partial<OrderHandlers>;
const listen = async (some: Given, log = silentLog, identity = transport): Promise<LinkListener> =>
  await openOrderServer({ host: '127.0.0.1', port: 0, identity, handlers: handlersWith(some), version: 'test', log });
const dial = async (port: number, identity = server) => await dialOrders({ host: '127.0.0.1', port, identity, version: 'test' });
const failed = (code: string, says?: RegExp) => (error: unknown) => isFailure(error, { code }) && (says === undefined || says.test(error.message) || assert.fail(error.message));

test('an order is answered, and many at once are answered each with its own', async () => {
  await using listener = await listen({ 'task.start': async ({ taskId }) => (taskId.endsWith('7') ? Promise.reject(taskUnknown({ taskId })) : {}) });
  const caller = await dial(listener.port);
  assert.equal((await caller.call('host.describe', {})).hostname, 'h');
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => caller.call('task.start', { taskId: `t${n}`, kind: 'sweep', input: {} })));
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 10);
  caller.close();
});

test('a failure crosses with its code, details, hint and retry rule', async () => {
  await using listener = await listen({ 'task.stop': async ({ taskId }) => Promise.reject(taskUnknown({ taskId })) });
  const caller = await dial(listener.port);
  await assert.rejects(caller.call('task.stop', { taskId: 'x1' }), (error: unknown) => isFailure(error, taskUnknown) && error.details['taskId'] === 'x1' && error.retry === 'never' && error.hint !== '');
  caller.close();
});

test('an input, output or event outside the contract is a failure that names the field, and the link stays', async () => {
  await using listener = await listen({ 'task.list': async () => ({ tasks: 'none' }) as never });
  const caller = await dial(listener.port);
  await assert.rejects(caller.call('task.stop', { taskId: 5 } as never), failed('contract.order-not-understood', /taskId/));
  await assert.rejects(caller.call('task.list', {}), failed('contract.answer-not-understood', /tasks/));
  assert.equal((await caller.call('host.describe', {})).contract, 1);
  caller.close();
});

const line = (number: number) => ({ number, event: { kind: 'step' as const, atMs: 0, step: `s${number}` } });

test('events arrive in order, one at a time, all before the answer', async () => {
  await using listener = await listen({
    'task.watch': async ({ after: from }, { emit }) => {
      for (let n = from + 1; n <= 300; n++) await emit(line(n));
      return { state: 'finished', output: 'ok' };
    },
  });
  const caller = await dial(listener.port);
  const seen: number[] = [];
  let busy = false;
  const state = await caller.call('task.watch', { taskId: 't', after: 100 }, {
    onEvent: async ({ number }) => {
      assert.equal(busy, false);
      busy = true;
      await systemClock.wait(0);
      seen.push(number);
      busy = false;
    },
  });
  assert.deepEqual(state, { state: 'finished', output: 'ok' });
  assert.deepEqual(seen, Array.from({ length: 200 }, (_, n) => n + 101));
  caller.close();
});

test('a slow listener slows the sender: no more is sent than there is credit for', async () => {
  let sent = 0;
  await using listener = await listen({
    'task.watch': async (_, { emit }) => {
      for (let n = 1; n <= 1_000; n++) {
        await emit(line(n));
        sent = n;
      }
      return { state: 'running' };
    },
  });
  const caller = await dial(listener.port);
  const stop = new AbortController();
  const watching = caller.call('task.watch', { taskId: 't', after: 0 }, { signal: stop.signal, onEvent: async () => await new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(new Error('over')))) });
  await until('the credit to be used up', 5_000, () => (sent >= 64 ? true : undefined));
  for (let n = 0; n < 20; n++) await caller.call('task.list', {});
  assert.equal(sent, 64);
  stop.abort(new Error('enough'));
  await assert.rejects(watching, /enough/);
  caller.close();
});

test('a cancelled call ends on both sides, and its handler hears of it', async () => {
  const heard = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using listener = await listen({
    'task.watch': async (_, { signal }) =>
      await new Promise((_resolve, reject) => {
        begun.resolve();
        signal.addEventListener('abort', () => {
          heard.resolve();
          reject(signal.reason as Error);
        });
      }),
  });
  const caller = await dial(listener.port);
  const stop = new AbortController();
  const call = caller.call('task.watch', { taskId: 't', after: 0 }, { signal: stop.signal });
  await begun.promise;
  stop.abort(new Error('no longer wanted'));
  await assert.rejects(call, /no longer wanted/);
  await withDeadline('the handler to hear', 5_000, () => heard.promise);
  caller.close();
});

test('when the listening side goes away, running calls fail with contract.link-lost and their handlers are told', async () => {
  const heard = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const listener = await listen({
    'task.watch': async (_, { signal }) => {
      signal.addEventListener('abort', () => heard.resolve());
      begun.resolve();
      return await new Promise(() => {});
    },
  });
  const caller = await dial(listener.port);
  const call = caller.call('task.watch', { taskId: 't', after: 0 });
  await begun.promise;
  await Promise.all([listener.close(), assert.rejects(call, failed('contract.link-lost')), withDeadline('the handler to hear', 5_000, () => heard.promise)]);
  await assert.rejects(caller.call('task.list', {}), failed('contract.link-lost'));
});

/** A TCP relay that can be told to swallow everything: a cable that was cut without a word. */
async function openRelay(port: number): Promise<{ port: number; swallow(): void; close(): Promise<void> }> {
  let swallowing = false;
  const sockets = new Set<Socket>();
  const relay: Server = createServer((near) => {
    const far = createConnection(port, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      from.on('data', (bytes) => void (swallowing || to.write(bytes)));
      from.on('error', () => {});
      from.on('close', () => void (swallowing || to.destroy()));
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  return {
    port: (relay.address() as { port: number }).port,
    swallow: () => void (swallowing = true),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => relay.close(resolve));
    },
  };
}

test('a peer that falls silent is given up by both sides', async () => {
  const timing = { pingMs: 50, deadMs: 300 };
  const heard = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const handlers = handlersWith({
    'task.watch': async (_, { signal }) => {
      signal.addEventListener('abort', () => heard.resolve());
      begun.resolve();
      return await new Promise(() => {});
    },
  });
  await using listener = await openOrderServer({ host: '127.0.0.1', port: 0, identity: transport, handlers, version: 'test', log: silentLog, timing });
  const relay = await openRelay(listener.port);
  const caller = await dialOrders({ host: '127.0.0.1', port: relay.port, identity: server, version: 'test', timing });
  const call = caller.call('task.watch', { taskId: 't', after: 0 });
  await begun.promise;
  relay.swallow();
  await assert.rejects(withDeadline('the caller to notice', 5_000, () => call), failed('contract.link-lost', /sign of life/));
  await withDeadline('the answerer to notice', 5_000, () => heard.promise);
  await relay.close();
});

test('the side that gives orders may be the one that listens', async () => {
  const arrived = Promise.withResolvers<ReturnType<typeof openCaller>>();
  await using listener = await listenForLinks({
    host: '127.0.0.1', port: 0, identity: server, admit: admitPart('transport'), role: 'caller', version: 'test', log: silentLog,
    onChannel: (channel) => arrived.resolve(openCaller(channel)),
  });
  const channel = await dialLink({ host: '127.0.0.1', port: listener.port, identity: transport, admit: admitPart('server'), role: 'answerer', version: 'test' });
  answerOrders(channel, handlersWith({}), silentLog);
  assert.equal((await (await arrived.promise).call('host.describe', {})).version, '1');
  channel.close();
});

test('sides that share no contract version part with words', async () => {
  await using listener = await listen({});
  const dialled = dialOrders({ host: '127.0.0.1', port: listener.port, identity: server, version: 'test', timing: { contracts: { least: 7, most: 9 } } });
  await assert.rejects(dialled, failed('contract.version-mismatch', /1 to 1.*7 to 9/));
});

test('nobody there, and somebody who never answers, are told apart from a refusal', async () => {
  const mute = createServer((socket) => void socket.resume().on('error', () => {}));
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as { port: number };
  await assert.rejects(dialOrders({ host: '127.0.0.1', port, identity: server, version: 'test', deadlineMs: 200 }), failed('contract.link-not-reached', /handshake/));
  await new Promise((resolve) => mute.close(resolve));
  await assert.rejects(dial(port), failed('contract.link-not-reached', /ECONNREFUSED/));
});

type Refusal = { name: string; identity: () => Promise<LinkIdentity>; logs: RegExp };
const refusals: Refusal[] = [
  {
    name: 'a certificate of another CA',
    identity: async () => await (await openAuthority(join(directory, 'b'), systemClock, async () => {})).issue({ part: 'server', name: 'server', hosts: [] }),
    logs: /not valid here/,
  },
  { name: 'an expired certificate', identity: async () => await authority.issue({ part: 'server', name: 'server', hosts: [], days: -0.01 }), logs: /CERT_HAS_EXPIRED/ },
  { name: 'a certificate made for another part', identity: async () => await authority.issue({ part: 'transport', name: 'other', hosts: [] }), logs: /for a transport/ },
];

for (const { name, identity, logs } of refusals) {
  test(`${name} is refused by the side that listens, without an answer, and its log says why`, async () => {
    const lines: string[] = [];
    await using listener = await listen({}, openLog((text) => lines.push(text)));
    const theirs = { ...(await identity()), caPem: authority.caPem };
    await assert.rejects(dial(listener.port, theirs), failed('contract.link-refused'));
    await until('the reason in the log', 5_000, () => (lines.some((text) => logs.test(text)) ? true : undefined));
  });

  test(`${name} is refused by the side that dials`, async () => {
    const given = await identity();
    await using listener = await listen({}, silentLog, given);
    const wanted = name.includes('another part') ? admitPart('server') : admitPart('transport');
    await assert.rejects(dialOrders({ host: '127.0.0.1', port: listener.port, identity: server, version: 'test', admit: wanted }), failed('contract.link-refused'));
  });
}

test('without a certificate, or over an older TLS, not a byte is answered', async () => {
  await using listener = await listen({});
  for (const options of [{ maxVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }] as const) {
    const bytes = await new Promise<number>((resolve) => {
      let received = 0;
      const socket = connectTls({ host: '127.0.0.1', port: listener.port, rejectUnauthorized: false, ...options });
      socket.on('secureConnect', () => socket.write('GET /orders HTTP/1.1\r\nHost: x\r\n\r\n'));
      socket.on('data', (data) => (received += data.length));
      socket.on('error', () => {});
      socket.on('close', () => resolve(received));
    });
    assert.equal(bytes, 0);
  }
});

test('a peer whose serial is not on the list is refused', async () => {
  const lines: string[] = [];
  await using listener = await openOrderServer({
    host: '127.0.0.1', port: 0, identity: transport, handlers: handlersWith({}), version: 'test', log: openLog((text) => lines.push(text)),
    admit: (peer) => `serial ${peer.serial} is not on the list`,
  });
  await assert.rejects(dial(listener.port), failed('contract.link-refused'));
  assert.ok(lines.some((text) => text.includes('is not on the list')));
});

test('a renewed certificate is shown to those who connect from then on', async () => {
  await using listener = await listen({});
  const first = await dial(listener.port);
  const renewed = await authority.issue({ part: 'transport', name: 'local', hosts: ['127.0.0.1'] });
  listener.renew(renewed);
  const second = await dial(listener.port);
  assert.equal(second.channel.peer.serial, renewed.serial);
  assert.notEqual(first.channel.peer.serial, renewed.serial);
  assert.equal((await first.call('host.describe', {})).version, '1');
  first.close();
  second.close();
});
