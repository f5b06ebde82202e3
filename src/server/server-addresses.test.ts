import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure } from '../base/failure.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { orderNotUnderstood } from '../contract/failures.ts';
import type { Caller } from '../contract/link/caller.ts';
import { keepHostsTold } from './server-addresses.ts';
import type { TransportLink } from './transport-link.ts';

const own = { enrolment_host: 'a', enrolment_port: 10_002, orders_host: 'a', orders_port: 10_006 };
const busy = new Failure({ code: 'agent.busy', message: 'busy', hint: 'a hint', retry: 'later', details: {} });

/** A server whose hosts answer what `answers` says, one call after the other. */
async function openScene() {
  const connect: ((caller: Caller, link: TransportLink) => void)[] = [];
  const linked: TransportLink[] = [];
  const places = [own];
  const waits: number[] = [];
  const clock = { ...systemClock, wait: async (ms: number) => void (await Promise.resolve(waits.push(ms))) };
  const links = { all: () => linked, onConnect: (listener: (caller: Caller, link: TransportLink) => void) => void connect.push(listener) };
  const none = { all: () => [], onConnect: () => {} };
  const look = await keepHostsTold({ catalog: { servers: { announce: async () => {}, places: async () => await Promise.resolve([...places]) } }, links, deployers: none, own, clock, log: silentLog });
  return {
    places,
    waits,
    look,
    /** Answers the numbers of servers that the host was told of, once `answers` are used up. */
    async connected(answers: (Error | null)[]): Promise<number[]> {
      const told: number[] = [];
      const done = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<Failure>();
      const call = async (_order: string, { servers }: { servers: unknown[] }) => {
        told.push(servers.length);
        if (answers.length === 1) setImmediate(done.resolve);
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return await Promise.resolve({});
      };
      const caller = { call, closed: closed.promise } as unknown as Caller;
      const link = { id: 'h1', host: 'h1', connected: async () => await Promise.resolve(caller) } as unknown as TransportLink;
      linked.splice(0, 1, link);
      connect[0]?.(caller, link);
      await done.promise;
      return told;
    },
  };
}

test('a host that did not answer is told again on the same link until it has', async () => {
  const scene = await openScene();
  assert.deepEqual(await scene.connected([busy, busy, null]), [1, 1, 1]);
  assert.deepEqual(scene.waits, [2_000, 4_000]);
});

test('a host that has answered is told again only of what is new, and one whose service does not know the order is told once', async () => {
  for (const answer of [null, orderNotUnderstood({ order: 'host.servers', why: 'unknown' })]) {
    const scene = await openScene();
    const told = await scene.connected([answer]);
    await scene.look();
    scene.places.push({ ...own, orders_host: 'b' });
    await scene.look();
    await scene.look();
    assert.deepEqual(told, [1, 2]);
  }
});
