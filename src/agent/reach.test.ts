import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { Failure, isFailure, toWire } from '../base/failure.ts';
import { silentLog } from '../base/log.ts';
import { mountUnreadable } from '../mount/failures.ts';
import { commandFailed, mongodDied } from '../mongo/failures.ts';
import { replayArchiveBroken } from '../mongo/replay-failures.ts';
import { chunksMissing } from './failures.ts';
import { apart, servingOf, standing } from './reach.ts';

test('the mongod of a proof runs no script, not even that of a view; one that serves data does', async () => {
  assert.deepEqual(await servingOf({ kind: 'prove' }, '/nowhere'), { args: ['--noscripting'] });
  assert.equal(await servingOf({ kind: 'inspect' }, '/nowhere'), undefined);
  assert.deepEqual(await servingOf({ kind: 'serve', port: 27_000, withUsers: false }, '/nowhere'), { port: 27_000 });
});

const died = mongodDied({ dbPath: '/m', status: 'SIGABRT', says: 'read error' });
const unread = { path: 'a.wt', operation: 'read', failure: toWire(mountUnreadable({ path: 'a.wt', operation: 'read', why: 'the pack is damaged' })) };
const never = new Promise<never>(() => {});

/** What is said of a failure over a mount that met `troubles`. */
async function saidOf(error: Error, ground: { checked?: Promise<void>; troubles?: (typeof unread)[]; broken?: Promise<never> } = {}, more: { signal?: AbortSignal; isApart?: boolean; undo?: () => Promise<void>; clock?: ReturnType<typeof turnedClock> } = {}): Promise<unknown> {
  const clock = more.clock ?? { ...turnedClock(), wait: async () => await Promise.resolve() };
  const context = { clock, signal: more.signal ?? new AbortController().signal, log: silentLog };
  const fail = async (): Promise<never> => await Promise.reject(error);
  const work = async (undo: AsyncDisposableStack): Promise<never> => {
    if (more.undo !== undefined) undo.defer(more.undo);
    return more.isApart === true ? await apart(fail) : await fail();
  };
  return await standing(context, { checked: ground.checked ?? Promise.resolve(), mount: { troubles: ground.troubles ?? [], broken: ground.broken ?? never } }, work).then(() => assert.fail('it did not fail'), (why: unknown) => why);
}

const codeAndCause = (why: unknown): unknown[] => (isFailure(why) ? [why.code, why.cause] : [why]);

test('a mongod that died on a mount is said to have died of what the mount met, with its own end as the cause', async () => {
  assert.deepEqual(codeAndCause(await saidOf(died, { troubles: [unread] })), ['mount.unreadable', died]);
  const missing = chunksMissing({ point: 'p', count: 1 });
  assert.deepEqual(codeAndCause(await saidOf(died, { checked: Promise.reject(missing), troubles: [unread] })), [missing.code, died]);
  assert.equal(await saidOf(died), died);
});

test('what a mount met explains neither what a live set answered, nor what is wrong with the archived oplog', async () => {
  const quota = commandFailed({ address: 'live:27017', command: 'insert', why: 'you are over your space quota' });
  assert.equal(await saidOf(quota, { troubles: [unread] }, { isApart: true }), quota);
  assert.deepEqual(codeAndCause(await saidOf(commandFailed({ address: '/s/mongod.sock', command: 'find', why: 'closed' }), { troubles: [unread] }))[0], 'mount.unreadable');
  const gap = replayArchiveBroken({ why: 'slice 7 does not continue slice 6' });
  assert.equal(await saidOf(gap, { troubles: [unread] }), gap);
});

test('a failure waits seconds for the look at all chunks, and not at all once its task is stopped', async () => {
  const clock = turnedClock();
  const told = saidOf(died, { checked: never }, { clock });
  for (let waited = 0; waited < 8; waited++) {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    clock.turn(1_000);
  }
  assert.equal(await told, died);
  const stop = new AbortController();
  const stopped = saidOf(died, { checked: never }, { clock: turnedClock(), signal: stop.signal });
  stop.abort(new Error('stopped'));
  assert.equal(await stopped, died);
});

test('a mount that cannot be taken down hides neither the failure nor its reason', async () => {
  const undo = async (): Promise<void> => await Promise.reject(new Error('target is busy'));
  assert.equal(await saidOf(died, {}, { undo }), died);
  assert.equal((await saidOf(died, { troubles: [unread] }, { undo }) as Failure).code, 'mount.unreadable');
  await assert.rejects(standing({ clock: turnedClock(), signal: new AbortController().signal, log: silentLog }, {}, async (stack) => await Promise.resolve(stack.defer(undo))), /target is busy/);
});
