import assert from 'node:assert/strict';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../base/log.ts';
import { stopped } from '../base/failures.ts';
import { turnedClock, type TurnedClock } from '../../test/kit/turned-clock.ts';
import { joinServers, type Membership } from './membership.ts';

const leaseMs = 15_000;
const never = new Promise<never>(() => {});

type Scene = { clock: TurnedClock; membership: Membership; renewed: number[]; ended: number; answer: () => Promise<boolean>; pass(ms: number): Promise<void> };

async function openScene(t: TestContext): Promise<Scene> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ends = new AbortController();
  const clock = turnedClock();
  const scene: Scene = {
    clock, membership: undefined as unknown as Membership, renewed: [], ended: 0, answer: async () => await Promise.resolve(true),
    /** In steps, as time goes. */
    async pass(ms) {
      for (let gone = 0; gone < ms; gone += 100) {
        clock.turn(100);
        t.mock.timers.tick(100);
        await turnOfLoop();
      }
    },
  };
  const servers = {
    register: async () => await Promise.resolve(),
    renew: async () => {
      const isThere = await scene.answer();
      scene.renewed.push(clock.monotonicMs());
      return isThere;
    },
    endLapsed: async () => await Promise.resolve(((scene.ended += 1), [])),
    leave: async () => await Promise.resolve(),
    databaseAhead: async () => await Promise.resolve(0),
  };
  scene.membership = await joinServers({ catalog: { kind: 'postgres', onAway: () => {}, servers }, name: 'a', version: '1', clock, log: silentLog, leaseMs, signal: ends.signal });
  t.after(() => ends.abort(stopped({ what: 'the test' })));
  return scene;
}

test('a server whose work does not come to an end keeps its lease all the same', async (t) => {
  const scene = await openScene(t);
  let calls = 0;
  scene.membership.keep(async () => {
    calls++;
    await never;
  });
  await scene.pass(60_000);
  assert.equal(calls, 1, 'and the work is not begun twice');
  assert.ok(scene.renewed.length >= 9, `renewed at ${scene.renewed.join(', ')}`);
  assert.ok(scene.membership.isSure());
});

test('a renewal that is not answered is given up and tried again, before this server has to stop', async (t) => {
  const scene = await openScene(t);
  let asked = 0;
  scene.answer = async () => (++asked === 1 ? await never : true);
  await scene.pass(11_000);
  assert.equal(asked, 2);
  assert.ok(scene.membership.isSure());
  assert.ok(!scene.membership.sure().aborted);
});

test('a server that cannot renew its lease stops before another could take over, and goes on when it has renewed it', async (t) => {
  const scene = await openScene(t);
  const { membership } = scene;
  scene.answer = async () => await never;
  const sure = membership.sure();
  let abortedMs: number | undefined;
  sure.addEventListener('abort', () => void (abortedMs = scene.clock.monotonicMs()));
  await scene.pass(11_000);
  assert.ok(membership.isSure() && !sure.aborted);
  await scene.pass(2_000);
  assert.ok(!membership.isSure());
  assert.ok(abortedMs !== undefined && abortedMs < leaseMs - 1_000, `what was on the way was given up after ${abortedMs} ms`);
  assert.equal((sure.reason as { code?: string }).code, 'server.lease-unsure');
  scene.answer = async () => await Promise.resolve(true);
  await scene.pass(6_000);
  assert.ok(membership.isSure());
  assert.ok(!membership.sure().aborted);
  assert.ok(sure.aborted, 'what was given up stays so');
});

test('nobody is taken for dead by a server that has not itself heard from the database for a whole lease', async (t) => {
  const scene = await openScene(t);
  await scene.pass(16_000);
  assert.ok(scene.ended > 0);
  scene.answer = async () => await never;
  await scene.pass(10_000);
  scene.answer = async () => await Promise.resolve(true);
  await scene.pass(5_000);
  const before = scene.ended;
  await scene.pass(9_000);
  assert.equal(scene.ended, before);
  await scene.pass(8_000);
  assert.ok(scene.ended > before);
});

test('a server that finds its row gone is lost', async (t) => {
  const scene = await openScene(t);
  scene.answer = async () => await Promise.resolve(false);
  await scene.pass(6_000);
  assert.equal(((await scene.membership.lost) as { code?: string }).code, 'catalog.server-replaced');
});
