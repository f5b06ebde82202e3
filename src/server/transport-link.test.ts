import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import { silentLog } from '../base/log.ts';
import { linkLost } from '../contract/failures.ts';
import type { Caller } from '../contract/link/caller.ts';
import { keepLink, type TransportLink } from './transport-link.ts';

/** A link whose connections are lost in the midst of so many calls. */
function openScene(t: TestContext, losses: number): { link: TransportLink; readonly calls: number } {
  let calls = 0;
  const dial = async (): Promise<Caller> => {
    const closed = Promise.withResolvers<Error>();
    const call = async (): Promise<unknown> => {
      calls += 1;
      if (calls > losses) return await Promise.resolve({ look: calls });
      const lost = linkLost({ address: 'h', why: 'not a sign of life for 32 s' });
      closed.resolve(lost);
      throw lost;
    };
    return await Promise.resolve({ channel: { hello: { version: '1' } }, call, closed: closed.promise, close: () => closed.resolve(new Error('closed')) } as unknown as Caller);
  };
  const link = keepLink({ id: 'h', host: 'h', address: 'h', dial, clock: systemClock, log: silentLog, shortestWaitMs: 5 });
  t.after(async () => await link.close());
  return { link, get calls() { return calls; } };
}

const isLost = (error: unknown): boolean => isFailure(error, linkLost);

test('an order that may be given twice is, when its link is lost before the answer; any other is not', async (t) => {
  const scene = openScene(t, 1);
  assert.deepEqual(await scene.link.ask('host.look', {}), { look: 2 });
  const other = openScene(t, 1);
  await assert.rejects(other.link.call('host.look', {}), isLost);
  assert.equal(other.calls, 1);
});

test('it is given no more than twice, and not at all when nobody waits for it any more', async (t) => {
  const scene = openScene(t, 5);
  await assert.rejects(scene.link.ask('host.look', {}), isLost);
  assert.equal(scene.calls, 2);
  const other = openScene(t, 5);
  await assert.rejects(other.link.ask('host.look', {}, { signal: AbortSignal.abort(new Error('over')) }));
  assert.ok(other.calls <= 1, String(other.calls));
});
