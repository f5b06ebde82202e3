/**
 * The inside of a mover process: one task, its events up the pipe, one outcome, the end.
 *
 * A mover yields to the database it works beside: low CPU priority and the idle class of the disk. A task that is
 * stopped still cleans up after itself (locks, mounts, temporary mongods) before the outcome is sent.
 */
import { setPriority } from 'node:os';
import { systemClock } from '../base/clock.ts';
import { describe, isFailure, toWire } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import type { Log } from '../base/log.ts';
import { yieldDisk } from '../base/native.ts';
import { taskKinds, type TaskKind } from '../contract/tasks.ts';
import { speak, type TaskContext } from './task-context.ts';
import type { FromMover, MoverTask } from './task-runner.ts';
import { runTask } from './tasks/table.ts';

/** Kinds that read a protected database's disk; the others serve an operator who waits. */
const yields: ReadonlySet<TaskKind> = new Set<TaskKind>(['backup', 'check', 'sweep', 'tend-oplog']);

export async function runMover(task: MoverTask, send: (message: FromMover) => void, signal: AbortSignal, own: Pick<TaskContext, 'onConnection' | 'pace'>, log: Log): Promise<void> {
  if (yields.has(task.kind)) {
    setPriority(0, 15);
    yieldDisk();
  }
  const voice = speak((event) => send({ kind: 'event', event }), systemClock);
  const context: TaskContext = { ...task, ...voice, ...own, signal, clock: systemClock, log: log.with({ taskId: task.taskId, kind: task.kind, ...(task.session !== undefined && { session: task.session }) }) };
  try {
    const input: unknown = taskKinds[task.kind].input.parse(task.input);
    const output = await runTask(task.kind, input, context);
    voice.flush();
    send({ kind: 'finished', output: taskKinds[task.kind].output.parse(output) });
  } catch (error) {
    voice.flush();
    const outcome = signal.aborted && !isFailure(error) ? stopped({ what: `task ${task.taskId}` }) : error;
    if (!isFailure(outcome)) context.log.error('unexpected error', { why: describe(error), stack: error instanceof Error ? error.stack : undefined });
    send({ kind: 'failed', failure: toWire(outcome) });
  }
}
