/** Bandwidth limits among tasks of one host: real transports, whose tasks are processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChannelStorage } from '../../src/mover/channel-storage.ts';
import { openTwoHosts } from '../kit/two-hosts.ts';

const whole = { from: '00:00', to: '00:00' };

test('two data sessions of a repository share its limit on the host that serves them', { timeout: 180_000 }, async (t) => {
  const hosts = await openTwoHosts(t);
  const send = async (setId: string): Promise<[beganMs: number, endedMs: number]> => {
    const farLimits = [{ mbitPerSecond: 16, ...whole, of: 'repository r' }, { mbitPerSecond: 800, ...whole, of: 'host' }];
    const { value } = await hosts.served(setId, 'append', async ({ location }) => {
      assert.equal(location.kind, 'channel');
      if (location.kind !== 'channel') throw new Error('not behind a channel');
      const storage = await openChannelStorage(location, async () => await Promise.resolve(hosts.identity));
      together.arrive();
      await together.all;
      const beganMs = performance.now();
      await Promise.all(Array.from({ length: 6 }, async (_, k) => await storage.put(`sets/${setId}/points/p${k}`, Buffer.alloc(500_000), 'new')));
      const endedMs = performance.now();
      await storage.close();
      return [beganMs, endedMs] as [number, number];
    }, { farLimits });
    return value;
  };
  const there = Promise.withResolvers<void>();
  let arrived = 0;
  const together = { arrive: () => void (++arrived === 2 && there.resolve()), all: there.promise };
  const times = await Promise.all(['a'.repeat(24), 'b'.repeat(24)].map(send));
  const tookMs = Math.max(...times.map(([, endedMs]) => endedMs)) - Math.min(...times.map(([beganMs]) => beganMs));
  // 6 MB at 2 MB/s, less what passes at once and the last one of each, which starts the wait of the next.
  assert.ok(tookMs > 2_000, `took ${Math.round(tookMs)} ms`);
});
