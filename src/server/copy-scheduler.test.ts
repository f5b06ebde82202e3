import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { silentLog } from '../base/log.ts';
import { openCatalog } from '../catalog/catalog.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { keepCopiesDue } from './copy-scheduler.ts';

const hourMs = 3_600_000;

test('copies run when they are due, once however many runs were missed, and one that cannot start holds up no other', async () => {
  await using catalog = await openCatalog(':memory:');
  const clock = turnedClock(Temporal.Instant.from('2026-11-20T12:00Z').epochMilliseconds);
  const ends = new AbortController();
  const add = async (id: string, schedule: unknown, countsFromMs: number): Promise<void> => {
    await catalog.copies.add({ id, set_id: id, repository: 'r', keep: '{}', schedule: JSON.stringify(schedule), counts_from_ms: countsFromMs, added_ms: 0 });
  };
  await add('broken', { kind: 'every', minutes: 60 }, 0);
  await add('missed', { kind: 'every', minutes: 60 }, clock.now() - 100 * hourMs);
  await add('daily', { kind: 'daily', at: '22:00' }, clock.now());
  await add('by-hand', { kind: 'manual' }, 0);
  const started: string[] = [];
  const scheduler = keepCopiesDue({ catalog, clock, log: silentLog, signal: ends.signal, timeZone: 'UTC', start: async ({ id }) => {
    started.push(id);
    if (id === 'broken') throw new Error('busy');
  } });
  const seen = async (count: number): Promise<string[]> => await until('copies to be started', 5_000, () => (started.length >= count ? started.splice(0).sort() : undefined), { everyMs: 5 });
  assert.deepEqual(await seen(2), ['broken', 'missed']);
  clock.turn(10 * hourMs);
  scheduler.wake();
  assert.deepEqual(await seen(3), ['broken', 'daily', 'missed']);
  ends.abort(new Error('the test ends'));
});
