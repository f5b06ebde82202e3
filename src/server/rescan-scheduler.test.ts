import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { withDeadline } from '../base/deadline.ts';
import { openLog } from '../base/log.ts';
import { openCatalog, type Catalog } from '../catalog/catalog.ts';
import type { GroupOptions, RescanSchedule } from '../contract/groups.ts';
import { turnedClock, type TurnedClock } from '../../test/kit/turned-clock.ts';
import { keepRescansDue } from './rescan-scheduler.ts';

const ms = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const daily: RescanSchedule = { kind: 'daily', at: '02:30', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] };
const hourMs = 3_600_000;

let catalog: Catalog;
let started: string[];
let logged: string[];
let ends: AbortController;
beforeEach(async () => {
  catalog = await openCatalog(':memory:');
  [started, logged, ends] = [[], [], new AbortController()];
});
afterEach(async () => {
  ends.abort(new Error('the test ends'));
  await catalog.close();
});

async function addGroup(schedule: RescanSchedule, nowMs: number, more: { name?: string; isEnabled?: boolean; timeZone?: string } = {}): Promise<void> {
  const { name = 'shop', isEnabled = true, timeZone = 'Europe/Berlin' } = more;
  const options: GroupOptions = { schedule, timeZone, installServices: true, updateServices: true, newMembers: 'include', hostCredential: null };
  const refused = await catalog.groups.add({ id: name, name, options: JSON.stringify(options), is_enabled: isEnabled ? 1 : 0, counts_from_ms: nowMs, added_ms: nowMs }, [], { of: () => [], fresh: () => assert.fail('no set has computers here') });
  assert.equal(refused, undefined);
}

/** Runs a scheduler; `turn` moves the clock and resolves when everything due by then was started. */
function schedule(clock: TurnedClock, start?: () => Promise<void>) {
  let asleep = Promise.withResolvers<void>();
  const watched: TurnedClock = { ...clock, wait: async (waitMs, signal) => {
    const waiting = clock.wait(waitMs, signal);
    asleep.resolve();
    await waiting;
  } };
  const scheduler = keepRescansDue({
    catalog, clock: watched, log: openLog((line) => logged.push(line)), signal: ends.signal,
    start: async (group) => {
      started.push(`${group.name} ${Temporal.Instant.fromEpochMilliseconds(clock.now()).toZonedDateTimeISO('Europe/Berlin').toString({ timeZoneName: 'never', smallestUnit: 'minute' })}`);
      await start?.();
    },
  });
  const settled = async (): Promise<void> => await withDeadline('the scheduler to wait', 5_000, async () => await asleep.promise);
  return {
    settled,
    wake: async () => {
      asleep = Promise.withResolvers();
      scheduler.wake();
      await settled();
    },
    turn: async (turnMs: number) => {
      asleep = Promise.withResolvers();
      clock.turn(turnMs);
      await settled();
    },
  };
}

async function hours(scheduler: ReturnType<typeof schedule>, count: number): Promise<void> {
  for (let n = 0; n < count * 2; n++) await scheduler.turn(hourMs / 2);
}

test('over the nights on which clocks change, a daily rescan at 02:30 starts once each day', async () => {
  const clock = turnedClock(ms('2026-03-28T12:00Z'));
  await addGroup(daily, clock.now());
  const scheduler = schedule(clock);
  await scheduler.settled();
  await hours(scheduler, 36);
  assert.deepEqual(started, ['shop 2026-03-29T03:30+02:00']);
  clock.turn(ms('2026-10-24T12:00Z') - clock.now());
  await scheduler.wake();
  started.length = 0;
  await hours(scheduler, 40);
  assert.deepEqual(started, ['shop 2026-10-25T02:30+02:00', 'shop 2026-10-26T02:30+01:00']);
});

test('what was missed while the server was down runs once when it is back', async () => {
  const clock = turnedClock(ms('2026-11-20T12:00Z'));
  await addGroup({ kind: 'every', minutes: 30, hours: null }, ms('2026-11-13T12:00Z'));
  const scheduler = schedule(clock);
  await scheduler.settled();
  assert.deepEqual(started, ['shop 2026-11-20T13:00+01:00']);
  await scheduler.turn(hourMs / 2);
  assert.deepEqual(started.slice(1), ['shop 2026-11-20T13:30+01:00']);
});

test('groups that are off or disabled do not start, others do', async () => {
  const clock = turnedClock(ms('2026-11-20T12:00Z'));
  await addGroup({ kind: 'off' }, 0, { name: 'off' });
  await addGroup(daily, 0, { name: 'disabled', isEnabled: false });
  await addGroup(daily, clock.now(), { name: 'on' });
  const scheduler = schedule(clock);
  await scheduler.settled();
  await hours(scheduler, 24);
  assert.deepEqual(started, ['on 2026-11-21T02:30+01:00']);
});

test('a group that is changed is looked at at once, not when the scheduler would have woken', async () => {
  const clock = turnedClock(ms('2026-11-20T12:00Z'));
  const scheduler = schedule(clock);
  await scheduler.settled();
  await addGroup(daily, ms('2026-11-19T12:00Z'));
  await scheduler.wake();
  assert.equal(started.length, 1);
});

test('a rescan that cannot be started is said and not tried again until the next run', async () => {
  const clock = turnedClock(ms('2026-11-20T12:00Z'));
  await addGroup({ kind: 'every', minutes: 60, hours: null }, ms('2026-11-20T10:30Z'));
  const scheduler = schedule(clock, async () => await Promise.reject(new Error('another one is open')));
  await scheduler.settled();
  await scheduler.turn(hourMs / 2);
  assert.equal(started.length, 1);
  assert.match(logged.join(''), /another one is open.*was not started/);
  await scheduler.turn(hourMs / 2);
  assert.equal(started.length, 2);
});

test('a clock that is set back does not put a group to sleep until it has caught up', async () => {
  const clock = turnedClock(ms('2026-11-20T12:00Z'));
  await addGroup({ kind: 'every', minutes: 60, hours: null }, ms('2027-11-20T12:00Z'));
  const scheduler = schedule(clock);
  await scheduler.settled();
  await scheduler.turn(hourMs);
  assert.equal(started.length, 1);
});
