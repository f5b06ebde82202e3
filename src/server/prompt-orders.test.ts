import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as z from 'zod';
import { openCatalog } from '../catalog/catalog.ts';
import { systemClock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { silentLog } from '../base/log.ts';
import { linkLost } from '../contract/failures.ts';
import type { Caller } from '../contract/link/caller.ts';
import { hostLost, leaseUnsure } from './failures.ts';
import type { FlowContext } from './flow.ts';
import { retentionFlow } from './flows/retention.ts';
import { alwaysSure, type Sureness } from './membership.ts';
import { sealerWith } from './sealing.ts';
import { openSessionEngine, type EngineOptions, type Timing } from './session-engine.ts';
import { openSessionLog } from './session-log.ts';
import { keepLink } from './transport-link.ts';

const deletion = { archive: {}, point: 'p1' } as never;

/** A session of one order to delete, to a host that is there when `appear` is called. */
async function openScene(t: TestContext, timing: Partial<Timing>, { sureness = alwaysSure, answer = async (): Promise<unknown> => await Promise.resolve({}) }: { sureness?: Sureness; answer?: () => Promise<unknown> } = {}) {
  const catalog = await openCatalog(':memory:');
  const given: { point: string; afterMs: number }[] = [];
  const waits: number[] = [];
  const dialled = Promise.withResolvers<void>();
  let askedMs = Number.NaN;
  const dial = async (): Promise<Caller> => {
    await dialled.promise;
    const call = async (_name: string, input: { point: string }): Promise<unknown> => {
      given.push({ point: input.point, afterMs: systemClock.monotonicMs() - askedMs });
      return await answer();
    };
    const closed = Promise.withResolvers<Error>();
    return { channel: { hello: { version: '1' } }, call, closed: closed.promise, close: () => closed.resolve(new Error('closed')) } as unknown as Caller;
  };
  const link = keepLink({ id: 'h', host: 'h', address: 'h', dial, clock: systemClock, log: silentLog, shortestWaitMs: 5 });
  const call: typeof link.call = async (name, input, options) => {
    waits.push(options?.waitMs ?? Number.POSITIVE_INFINITY);
    return await link.call(name, input, options);
  };
  const flow = {
    wish: z.object({}),
    run: async (_wish: unknown, context: FlowContext) => {
      askedMs = systemClock.monotonicMs();
      await context.order('h', 'point.delete', deletion, 'promptly');
      return { state: 'success' as const, result: { kind: 'retention' as const, deleted: [], refused: [], freedBytes: 0 } };
    },
  };
  const links = { of: () => ({ ...link, call }), anyConnected: async () => await Promise.resolve() };
  const engine = openSessionEngine({ catalog, clock: systemClock, log: silentLog, sealer: sealerWith(new Uint8Array(32)), sessionLog: openSessionLog(catalog, systemClock), links, flows: { retention: flow }, timing, sureness } as unknown as EngineOptions);
  t.after(async () => {
    dialled.resolve();
    await engine.close();
    await link.close();
    await catalog.close();
  });
  return {
    given,
    waits,
    link,
    appear: () => dialled.resolve(),
    async ended() {
      const { id } = await engine.start({ kind: 'retention', object: { kind: 'set', id: 's', name: 's' }, setId: 's', lane: null, wish: {} });
      return await engine.ended(id);
    },
  };
}

const codeOf = ({ failure }: { failure: string | null }): string => (JSON.parse(failure ?? '{}') as { code: string }).code;

test('an order to delete that a host was not there for in time is not given any more when it comes back', async (t) => {
  const scene = await openScene(t, { promptMs: 150, hostLostMs: 60_000 });
  const row = await scene.ended();
  assert.equal(codeOf(row), 'server.host-lost');
  scene.appear();
  await scene.link.connected(5_000);
  await systemClock.wait(50);
  assert.deepEqual(scene.given, []);
});

test('without another setting that time is ten seconds', async (t) => {
  const scene = await openScene(t, {});
  scene.appear();
  assert.equal((await scene.ended()).state, 'success');
  assert.equal(scene.given.length, 1);
  assert.ok(scene.waits[0]! <= 10_000 && scene.waits[0]! > 9_000, `${scene.waits[0]} ms`);
});

test('an order that was cut on its way is given again within that time, and not after it', async (t) => {
  let tries = 0;
  const once = await openScene(t, { promptMs: 5_000 }, { answer: async () => (++tries === 1 ? await Promise.reject(linkLost({ address: 'h', why: 'cut' })) : {}) });
  once.appear();
  assert.equal((await once.ended()).state, 'success');
  assert.equal(once.given.length, 2);
  const always = await openScene(t, { promptMs: 300, hostLostMs: 60_000 }, { answer: async () => await Promise.reject(linkLost({ address: 'h', why: 'cut' })) });
  always.appear();
  const row = await always.ended();
  assert.match(codeOf(row), /^contract\.link-lost$|^server\.host-lost$/);
  const last = always.given.at(-1)!;
  assert.ok(always.given.length > 1 && last.afterMs < 300 + 50, `the last one after ${last.afterMs} ms`);
});

test('a server that is not sure of its lease deletes nothing, and one that is sure again in time does', async (t) => {
  const never = await openScene(t, { promptMs: 200, hostLostMs: 60_000 }, { sureness: { ...alwaysSure, isSure: () => false } });
  never.appear();
  assert.equal(codeOf(await never.ended()), 'server.lease-unsure');
  assert.deepEqual(never.given, []);
  const fromMs = systemClock.monotonicMs();
  const soon = await openScene(t, { promptMs: 5_000 }, { sureness: { ...alwaysSure, isSure: () => systemClock.monotonicMs() - fromMs > 200 } });
  soon.appear();
  assert.equal((await soon.ended()).state, 'success');
  assert.equal(soon.given.length, 1);
});

test('an order on its way is given up when the server is not sure of its lease any more, and given again when it is', async (t) => {
  let unsure = new AbortController();
  let tries = 0;
  const sureness = { isSure: () => !unsure.signal.aborted, sure: () => unsure.signal };
  const scene = await openScene(t, { promptMs: 60_000 }, { sureness });
  const answered = scene.ended();
  await until('the order to wait for its host', 5_000, () => (scene.waits.length > tries ? true : undefined), { everyMs: 5 });
  tries = scene.waits.length;
  unsure.abort(leaseUnsure({ seconds: 12 }));
  scene.appear();
  await scene.link.connected(5_000);
  await systemClock.wait(80);
  assert.deepEqual(scene.given, [], 'nothing is given while it is not sure');
  unsure = new AbortController();
  assert.equal((await answered).state, 'success');
  assert.equal(scene.given.length, 1);
});

test('retention looks at each point right before the order to delete it, gives that promptly, and keeps what could not be deleted', async () => {
  const did: string[] = [];
  const rows = new Map(['p1', 'p2', 'p3'].map((id) => [id, { id, repository: 'r', set_id: 's' }]));
  const services = {
    archives: { find: async () => ({ host: 'h' }), access: async () => ({}) },
    points: { mirror: async () => {} },
    tending: { tend: async () => ({ slices: 0, freedBytes: 0, waiting: 0 }) },
    retention: {
      oplogRuleOf: async () => null,
      plan: async () => ({ goes: ['p1', 'p2', 'p3'], stays: [], rules: ['nightly'] }),
      boundBy: async ({ id }: { id: string }) => (did.push(`look ${id}`), id === 'p2' ? ['it is held: audit'] : []),
    },
    catalog: { points: { find: async (id: string) => rows.get(id), remove: async (id: string) => void rows.delete(id) } },
  };
  const order = async (_host: string, name: string, input: { point?: string }, how?: string): Promise<unknown> => {
    if (name !== 'point.delete') return await Promise.resolve({});
    did.push(`${name} ${input.point} ${how}`);
    if (input.point === 'p3') throw hostLost({ host: 'h', seconds: 10, lastStep: name, why: 'gone' });
    return {};
  };
  const context = { order, step: async () => {}, tell: async () => {}, note: async (_name: string, make: () => unknown) => make(), setNote: async () => {}, task: async () => ({ freedBytes: 5 }), signal: new AbortController().signal } as unknown as FlowContext;
  const done = await retentionFlow(services as never).run({ setId: 's', name: 's', repository: 'r' }, context);
  assert.deepEqual(did, ['look p1', 'point.delete p1 promptly', 'look p2', 'look p3', 'point.delete p3 promptly']);
  assert.deepEqual([...rows.keys()], ['p2', 'p3']);
  assert.equal(done.state, 'warning');
});
