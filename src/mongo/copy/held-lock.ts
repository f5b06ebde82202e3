/** A lock on the member, held by a guardian while `work` runs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import type { Clock } from '../../base/clock.ts';
import { withDeadline } from '../../base/deadline.ts';
import { describe, fromWire } from '../../base/failure.ts';
import { sortableId } from '../../base/ids.ts';
import type { MongoAddress } from '../connect.ts';
import { guardianGone, lockLost, lockNotUndone } from './failures.ts';
import { undoOrphan, type GuardianAnswer, type GuardianOrder } from './guardian.ts';
import { markerFolder } from './lock-marker.ts';
import type { CopiedMember } from './member.ts';

export type LockOptions = {
  /** The command that starts main/guardian.ts, with its first arguments. */
  readonly program: readonly string[];
  readonly address: MongoAddress;
  readonly member: CopiedMember;
  readonly client: MongoClient;
  readonly workDirectory: string;
  readonly acquireMs: number;
  readonly holdMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

const UNDO_MS = 90_000;

/** The lock is undone when this settles, whatever way; it fails unless the lock was held all the time. */
export async function withLock<T>(options: LockOptions, work: (signal: AbortSignal) => Promise<T>): Promise<{ value: T; lockedMs: number }> {
  const { member, clock } = options;
  const markerPath = join(markerFolder(options.workDirectory), `${sortableId(clock)}.json`);
  const guardian = startGuardian(options, markerPath);
  try {
    const first = await guardian.next('locked', options.acquireMs + UNDO_MS);
    if (first.kind !== 'locked') throw lockLost({ member: member.name, why: 'it was never held' });
    const done = guardian.next('unlocked', options.holdMs + UNDO_MS);
    const early = new AbortController();
    done.then(
      (answer) => early.abort(lockLost({ member: member.name, why: whyOf(answer, options.holdMs) })),
      (error: unknown) => early.abort(error),
    );
    const signal = AbortSignal.any([options.signal, early.signal]);
    // Given back at once, however long `work` takes to hear of it.
    signal.addEventListener('abort', () => guardian.order({ kind: 'unlock' }), { once: true });
    const [outcome] = await Promise.allSettled([work(signal)]);
    guardian.order({ kind: 'unlock' });
    const last = await done;
    if (last.kind !== 'unlocked' || last.ending !== 'ordered' || !last.held) throw lockLost({ member: member.name, why: whyOf(last, options.holdMs) });
    if (outcome.status === 'rejected') throw outcome.reason;
    return { value: outcome.value, lockedMs: last.lockedMs };
  } finally {
    guardian.order({ kind: 'unlock' });
    await guardian.ended(UNDO_MS);
    await undoOrphan(options.client, markerPath, member.name, clock).catch((error: unknown) => {
      throw lockNotUndone({ member: member.name, why: describe(error) }, error);
    });
  }
}

function whyOf(answer: GuardianAnswer, holdMs: number): string {
  if (answer.kind !== 'unlocked') return 'the guardian gave up';
  switch (answer.ending) {
    case 'deadline':
      return `its deadline of ${holdMs / 1000} s passed`;
    case 'became-primary':
      return 'the member was elected primary';
    case 'parent-gone':
      return 'the guardian was told to end';
    case 'ordered':
      return 'somebody else undid it';
  }
}

type StartedGuardian = {
  order(order: GuardianOrder): void;
  /** The next answer of a kind; a failure of the guardian, or its end, is thrown. */
  next(kind: GuardianAnswer['kind'], ms: number): Promise<GuardianAnswer>;
  ended(ms: number): Promise<void>;
};

/** In a session of its own: a signal to our group must not reach it. */
function startGuardian(options: LockOptions, markerPath: string): StartedGuardian {
  const { member, program } = options;
  const child = spawn(program[0]!, program.slice(1), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], detached: true });
  const answers: GuardianAnswer[] = [];
  const { promise: exited, resolve: exit } = Promise.withResolvers<string>();
  child.once('error', (error) => exit(error.message));
  child.once('exit', (code, signal) => exit(signal ?? `exit code ${code}`));
  child.on('message', (answer: GuardianAnswer) => {
    answers.push(answer);
    child.emit('answer');
  });
  const order = (what: GuardianOrder): void => {
    if (child.connected) child.send(what, () => {});
  };
  const { address, acquireMs, holdMs } = options;
  order({ kind: 'lock', address, host: member.host, member: member.name, markerPath, acquireMs, holdMs });
  return {
    order,
    next: async (kind, ms) => await withDeadline(`the guardian of ${member.name}`, ms, async () => await nextAnswer(child, answers, kind, exited, member.name)),
    ended: async (ms) => {
      await withDeadline(`the end of the guardian of ${member.name}`, ms, async () => await exited).catch(() => {
        // Its marker stays; undoLeftovers will look again.
      });
    },
  };
}

async function nextAnswer(child: ChildProcess, answers: GuardianAnswer[], kind: GuardianAnswer['kind'], exited: Promise<string>, member: string): Promise<GuardianAnswer> {
  for (;;) {
    const failed = answers.find((answer) => answer.kind === 'failed');
    if (failed?.kind === 'failed') throw fromWire(failed.failure);
    const found = answers.find((answer) => answer.kind === kind);
    if (found !== undefined) return found;
    const status = await Promise.race([exited, new Promise<undefined>((resolve) => child.once('answer', () => resolve(undefined)))]);
    if (status !== undefined && !answers.some((answer) => answer.kind === kind || answer.kind === 'failed')) throw guardianGone({ member, status });
  }
}
