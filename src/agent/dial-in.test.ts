import assert from 'node:assert/strict';
import { once, EventEmitter } from 'node:events';
import { test, type TestContext } from 'node:test';
import { freePort } from '../../test/kit/free-port.ts';
import { openTestAuthority, type TestAuthority } from '../../test/kit/test-authority.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import type { Channel } from '../contract/link/channel.ts';
import { listenForLinks } from '../contract/link/listen.ts';
import type { HostAndPort } from '../contract/values.ts';
import { dialServers } from './dial-in.ts';

const deadline = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(20_000) });

/** A server's port 10006, and the links that hosts open to it. */
async function openAgentPort(t: TestContext, authority: TestAuthority, port: number) {
  const events = new EventEmitter();
  const channels: Channel[] = [];
  const onChannel = (channel: Channel): void => {
    channels.push(channel);
    events.emit('open');
    void channel.closed.then(() => events.emit('closed'));
  };
  const listener = await listenForLinks({ host: '127.0.0.1', port, identity: await authority.issue('server', 'server'), admit: () => undefined, role: 'caller', version: 'test', log: silentLog, onChannel });
  t.after(async () => await listener.close());
  return {
    channels,
    close: async () => await listener.close(),
    next: async (what: 'open' | 'closed') => void (await once(events, what, deadline())),
  };
}

/** A host that dials in; `failed` waits until an address was tried in vain. */
async function openHost(t: TestContext, authority: TestAuthority, first: HostAndPort[], kit: HostAndPort[]) {
  const [identity, said, ends] = [await authority.issue('transport', 'h1'), new EventEmitter(), new AbortController()];
  const known = { dials: first, lastResorts: kit, learned: () => {} };
  const worked: number[] = [];
  // A failure is said once, and waited for each time.
  const clock = { ...systemClock, wait: async (ms: number, signal?: AbortSignal) => (said.emit('failed'), await systemClock.wait(Math.min(ms, 100), signal)) };
  const servers = {
    dials: () => known.dials,
    lastResorts: () => known.lastResorts,
    worked: async ({ port }: HostAndPort) => void (await Promise.resolve(worked.push(port))),
    onLearn: (listener: () => void) => void (known.learned = listener),
  };
  const dialling = dialServers(servers, { identity: () => identity, handlers: {}, version: 'test', clock, log: silentLog, signal: ends.signal });
  t.after(async () => {
    ends.abort(new Error('the test ends'));
    await dialling;
  });
  return {
    worked,
    tell(dials: HostAndPort[], lastResorts: HostAndPort[]) {
      Object.assign(known, { dials, lastResorts });
      known.learned();
    },
    failed: async () => void (await once(said, 'failed', deadline())),
  };
}

async function openScene(t: TestContext) {
  const authority = await openTestAuthority();
  t.after(async () => await authority[Symbol.asyncDispose]());
  const [oldPort, newPort] = [await freePort(), await freePort()];
  const at = (port: number): HostAndPort => ({ host: '127.0.0.1', port });
  return { authority, oldPort, newPort, before: at(oldPort), after: at(newPort) };
}

test('a link that works is kept until the address that was told instead is reached', async (t) => {
  const { authority, oldPort, newPort, before, after } = await openScene(t);
  const old = await openAgentPort(t, authority, oldPort);
  const opened = old.next('open');
  const host = await openHost(t, authority, [before], []);
  await opened;
  const failed = host.failed();
  host.tell([after], [before]);
  await failed;
  const ended = old.next('closed');
  await host.failed();
  assert.equal(await Promise.race([old.channels[0]!.closed, Promise.resolve('open')]), 'open');
  const moved = await openAgentPort(t, authority, newPort);
  await Promise.all([moved.next('open'), ended]);
  assert.deepEqual(host.worked, [oldPort, newPort]);
  assert.equal(old.channels.length, 1);
});

test('a host that was told a wrong address comes back over the last that worked, and leaves that when it reaches the one it was told', async (t) => {
  const { authority, oldPort, newPort, before, after } = await openScene(t);
  const old = await openAgentPort(t, authority, oldPort);
  const [back, gone] = [old.next('open'), old.next('closed')];
  const host = await openHost(t, authority, [after], [before]);
  await back;
  assert.deepEqual(host.worked, [oldPort]);
  const moved = await openAgentPort(t, authority, newPort);
  await Promise.all([moved.next('open'), gone]);
  assert.deepEqual(host.worked, [oldPort, newPort]);
});

test('a last resort is left alone while an address that was told answers', async (t) => {
  const { authority, oldPort, newPort, before, after } = await openScene(t);
  const [old, told] = [await openAgentPort(t, authority, oldPort), await openAgentPort(t, authority, newPort)];
  const opened = told.next('open');
  await openHost(t, authority, [after], [before]);
  await opened;
  const [again, resort] = [told.next('open'), old.next('open').then(() => assert.fail('the last resort was dialled'))];
  resort.catch(() => {});
  told.channels[0]!.close();
  await Promise.race([again, resort]);
});
