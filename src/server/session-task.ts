/**
 * One task of a session, followed to its end across lost links and restarts of the server.
 *
 *   noted ──start, acknowledged──▶ accepted ──watch {after}──▶ outcome noted ──forget──▶ done
 *
 * The task's id is in the catalog before the host hears of it. A start whose acknowledgement was lost is given again
 * (the host answers that it has it); a task that was accepted is only ever watched: a host that does not know it any
 * more was restarted, and the task is lost, not run twice. The outcome is in the catalog before the host may forget it.
 */
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { describe, fromWire, isFailure, toWire, type WireFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import { randomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { linkLost } from '../contract/failures.ts';
import type { Caller } from '../contract/link/caller.ts';
import { taskKinds, type TaskEvent, type TaskKind, type TaskOutput, type TaskState } from '../contract/tasks.ts';
import type { TaskRow } from '../catalog/sessions.ts';
import { hostLost, hostUnreachable, leaseUnsure, taskLost, taskSilent } from './failures.ts';
import type { Sureness } from './membership.ts';
import type { SessionLog } from './session-log.ts';
import { openProgress, type SharedProgress } from './session-progress.ts';
import type { Links } from './links.ts';
import type { TransportLink } from './transport-link.ts';

export type TaskFollowing = {
  session: string;
  catalog: Catalog;
  sessionLog: SessionLog;
  links: Links;
  clock: Clock;
  log: Log;
  /** Aborted when the session is to stop: the task is asked to, and its own end is awaited. */
  stop: AbortSignal;
  /** Aborted when this server ends: the task goes on without it. */
  closing: AbortSignal;
  /** Whether no other server can have taken this one's place yet: only then are orders given. */
  sureness: Sureness;
  /** How long a host may be gone before its task is given up. */
  hostLostMs: number;
  stopWithinMs: number;
  /** In place of the usual silence of each kind. */
  silentMs?: number;
  /** Where several tasks of a session run side by side: what stands before each thing it says, and the progress of all. */
  side?: { readonly name: string; readonly progress: SharedProgress };
};

export type OnStatus = (key: string, value: unknown) => Promise<void> | void;

const minuteMs = 60_000;

/** How long a task of each kind may say nothing while its host is there. A publication, a data session and its gateway are quiet for as long as they are up. */
const silences: Readonly<Record<TaskKind, number | null>> = {
  oplog: 10 * minuteMs,
  backup: 60 * minuteMs,
  prove: 12 * 60 * minuteMs,
  publish: null,
  'restore-set': 12 * 60 * minuteMs,
  'lay-members': 12 * 60 * minuteMs,
  'run-hook': 25 * 60 * minuteMs,
  'place-members': 10 * minuteMs,
  'start-members': 10 * minuteMs,
  'restore-collections': 12 * 60 * minuteMs,
  check: 12 * 60 * minuteMs,
  sweep: 12 * 60 * minuteMs,
  'tend-oplog': 12 * 60 * minuteMs,
  'test-storage': 60 * minuteMs,
  copy: 12 * 60 * minuteMs,
  repair: 12 * 60 * minuteMs,
  'oplog-find': 60 * minuteMs,
  'serve-archive': null,
  'relay-channels': null,
};

const taskUnknown = { code: 'agent.task-unknown' };
/** The longest that a deployer waits for running tasks, and then some for the update itself. */
const updateMs = 190 * minuteMs;
const beingUpdated = { code: 'agent.being-updated' };

export async function followTask<K extends TaskKind>(
  name: string,
  kind: K,
  host: string,
  makeInput: () => Promise<z.input<(typeof taskKinds)[K]['input']>>,
  following: TaskFollowing,
  onStatus?: OnStatus,
): Promise<TaskOutput<K>> {
  const { catalog, session } = following;
  const known = await catalog.sessions.task(session, name);
  if (known?.outcome != null) return read(kind, JSON.parse(known.outcome) as Outcome);
  if (known === undefined) following.stop.throwIfAborted();
  const taskId = known?.task_id ?? randomId();
  if (known === undefined) await catalog.sessions.addTask({ task_id: taskId, session, name, kind, host });
  const link = following.links.of(known?.host ?? host);
  const outcome = await toTheEnd(kind, makeInput, { ...following, link, taskId, known, onStatus });
  await catalog.sessions.updateTask(taskId, { outcome: JSON.stringify(outcome) });
  await forget(taskId, link, following);
  return read(kind, outcome);
}

type Outcome = { output: unknown } | { failure: WireFailure };

function read<K extends TaskKind>(kind: K, outcome: Outcome): TaskOutput<K> {
  if ('failure' in outcome) throw fromWire(outcome.failure);
  return taskKinds[kind].output.parse(outcome.output) as TaskOutput<K>;
}

/** A host that is about to be updated takes no new task: the session goes on with the next one when it is back. */
async function waitForUpdate({ sessionLog, session, link, clock, stop }: Followed, updating: { sinceMs: number | undefined }, why: Error, signal: AbortSignal): Promise<void> {
  stop.throwIfAborted();
  if (updating.sinceMs === undefined) await sessionLog.keep(session, { kind: 'line', level: 'info', text: `host ${link.host} is about to be updated; waiting until it takes tasks again` });
  updating.sinceMs ??= clock.monotonicMs();
  if (clock.monotonicMs() - updating.sinceMs >= updateMs) throw why;
  await clock.wait(500, signal);
}

/** A host that is there and does not answer is waited for as long as one that is gone. */
async function noteUnanswered({ sessionLog, session, link, clock, hostLostMs, stop }: Followed, unanswered: { sinceMs: number | undefined }, why: Error, signal: AbortSignal): Promise<void> {
  stop.throwIfAborted();
  unanswered.sinceMs ??= clock.monotonicMs();
  if (clock.monotonicMs() - unanswered.sinceMs >= hostLostMs) throw why;
  await sessionLog.keep(session, { kind: 'line', level: 'info', text: `${why.message}; host ${link.host} is asked again` });
  await clock.wait(50, signal);
}

type Followed = TaskFollowing & { link: TransportLink; taskId: string; known: TaskRow | undefined; onStatus?: OnStatus };

async function toTheEnd(kind: TaskKind, makeInput: () => Promise<unknown>, followed: Followed): Promise<Outcome> {
  const { taskId, catalog, session, link, clock, stop, closing } = followed;
  const cursor = { after: followed.known?.after ?? 0, lastStep: 'start', heardMs: clock.monotonicMs() };
  let isAccepted = followed.known?.is_accepted === 1;
  const updating = { sinceMs: undefined as number | undefined };
  const unanswered = { isGiven: false, sinceMs: undefined as number | undefined };
  const giveUp = new AbortController();
  const onClosing = (): void => giveUp.abort(closing.reason);
  if (closing.aborted) onClosing();
  else closing.addEventListener('abort', onClosing, { once: true });
  const stopping = stopWhenAsked(followed, giveUp);
  const silentMs = silences[kind] === null ? null : (followed.silentMs ?? silences[kind]);
  const isSilent = (): boolean => silentMs !== null && clock.monotonicMs() - cursor.heardMs >= silentMs;
  const sink = eventSink(followed, cursor);
  try {
    for (;;) {
      let caller: Caller;
      try {
        caller = await link.connected(followed.hostLostMs, giveUp.signal);
      } catch (error) {
        if (!isFailure(error, hostUnreachable)) throw error;
        throw hostLost({ host: link.host, seconds: Math.round(followed.hostLostMs / 1000), lastStep: cursor.lastStep, why: describe(error) }, error);
      }
      try {
        if (!isAccepted) {
          unanswered.isGiven = false;
          const given = await makeInput();
          const sure = await untilSure(followed.sureness, clock, giveUp.signal);
          unanswered.isGiven = true;
          await caller.call('task.start', { taskId, kind, input: given, session }, { signal: AbortSignal.any([giveUp.signal, sure]) });
          await catalog.sessions.updateTask(taskId, { is_accepted: 1 });
          isAccepted = true;
        }
        if (stop.aborted) stopping.ask(caller);
        cursor.heardMs = clock.monotonicMs();
        using quiet = watchSilence(isSilent, silentMs, () => stopping.now());
        const state = await caller.call('task.watch', { taskId, after: cursor.after }, { signal: giveUp.signal, onEvent: sink });
        if (quiet.wasSilent) return { failure: toWire(taskSilent({ host: link.host, minutes: Math.round((silentMs ?? 0) / minuteMs), lastStep: cursor.lastStep })) };
        if (state.state !== 'running') return outcomeOf(state);
      } catch (error) {
        if (isFailure(error, taskUnknown)) return { failure: toWire(taskLost({ host: link.host, lastStep: cursor.lastStep }, error)) };
        if (isFailure(error, beingUpdated) && !isAccepted) {
          await waitForUpdate(followed, updating, error, giveUp.signal);
          continue;
        }
        // It may have been heard: the start is given again under the same id.
        if (isFailure(error, leaseUnsure)) continue;
        if (isFailure(error, deadlinePassed) && unanswered.isGiven && !isAccepted && !giveUp.signal.aborted) {
          await noteUnanswered(followed, unanswered, error, giveUp.signal);
          continue;
        }
        if (!isFailure(error, linkLost)) throw error;
        await followed.sessionLog.keep(session, { kind: 'line', level: 'info', text: `${error.message}; waiting for it, the task goes on` });
        await clock.wait(50, giveUp.signal);
      }
    }
  } finally {
    stopping.over();
    closing.removeEventListener('abort', onClosing);
  }
}

/** A server that did not hear of the catalog for most of its lease may soon be replaced: it begins nothing. Answers what ends this being sure. */
export async function untilSure({ isSure, sure }: Sureness, clock: Clock, signal: AbortSignal, waitMs = Number.POSITIVE_INFINITY): Promise<AbortSignal> {
  for (const fromMs = clock.monotonicMs(); !isSure() || sure().aborted; ) {
    const waitedMs = clock.monotonicMs() - fromMs;
    if (waitedMs >= waitMs) throw leaseUnsure({ seconds: Math.round(waitedMs / 1000) });
    await clock.wait(50, signal);
  }
  return sure();
}

function outcomeOf(state: Exclude<TaskState, { state: 'running' }>): Outcome {
  return state.state === 'finished' ? { output: state.output } : { failure: state.failure };
}

/** Passes the wish to stop on to the host once, and gives up when the task does not end in time. */
function stopWhenAsked(followed: Followed, giveUp: AbortController): { ask(caller: Caller): void; now(): void; over(): void } {
  const { stop, link, taskId, clock, stopWithinMs, log } = followed;
  const over = new AbortController();
  const ask = (caller: Caller): void => {
    caller.call('task.stop', { taskId }).catch((error: unknown) => log.info('a task could not be asked to stop', { taskId, why: describe(error) }));
  };
  const onStop = (): void => {
    // A server that ends takes its waiting with it; the task is for the next one.
    if (followed.closing.aborted || !followed.sureness.isSure()) return;
    link.connected(stopWithinMs, over.signal).then(ask, () => {});
    clock.wait(stopWithinMs, over.signal).then(
      () => giveUp.abort(deadlinePassed({ what: `task ${taskId} to stop`, ms: stopWithinMs })),
      () => {},
    );
  };
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  return {
    ask,
    now: onStop,
    over: () => {
      stop.removeEventListener('abort', onStop);
      over.abort(new Error('the task has ended'));
    },
  };
}

/** Looks now and then whether the task still says something, and acts once when it does not. */
function watchSilence(isSilent: () => boolean, silentMs: number | null, act: () => void): Disposable & { readonly wasSilent: boolean } {
  let wasSilent = false;
  const look = (): void => {
    if (wasSilent || !isSilent()) return;
    wasSilent = true;
    act();
  };
  const timer = silentMs === null ? undefined : setInterval(look, Math.min(minuteMs, silentMs / 4));
  return {
    get wasSilent() {
      return wasSilent;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Lines and steps are kept, progress is shown, a status is the flow's to judge. */
function eventSink(followed: Followed, cursor: { after: number; lastStep: string; heardMs: number }) {
  const { side } = followed;
  const progress = side === undefined ? openProgress() : side.progress.of(side.name);
  const named = (text: string): string => (side === undefined ? text : `${side.name}: ${text}`);
  return async ({ number, event }: { number: number; event: TaskEvent }): Promise<void> => {
    const { sessionLog, session, taskId } = followed;
    cursor.heardMs = followed.clock.monotonicMs();
    if (number <= cursor.after) return;
    cursor.after = number;
    if (event.kind === 'progress') sessionLog.progress(session, progress.add(event), event.atMs);
    else if (event.kind === 'status') await followed.onStatus?.(event.key, event.value);
    else {
      if (event.kind === 'step') cursor.lastStep = event.step;
      const said = event.kind === 'step' ? { kind: event.kind, step: named(event.step) } : { kind: event.kind, level: event.level, text: named(event.text) };
      await sessionLog.keep(session, said, event.atMs, { taskId, after: number });
    }
  };
}

/** The result is ours; the host need not keep it. What is left there is found by the janitor. */
async function forget(taskId: string, link: TransportLink, { log, closing }: TaskFollowing): Promise<void> {
  try {
    await link.call('task.forget', { taskId }, { signal: closing, waitMs: 2_000 });
  } catch (error) {
    log.info('a task could not be forgotten yet', { taskId, why: describe(error) });
  }
}
