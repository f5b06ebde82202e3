/**
 * The task runner: each task in a child process, its events kept and numbered (kept-events.ts), its result held until it is forgotten.
 *
 *   start ──▶ running ──▶ finished | failed ──forget──▶ gone
 *               │ stop: the child is asked, and killed 30 s later
 *
 * Starting a task that is already here is an answer, not an error, so an order whose acknowledgement was lost can be
 * given again. One that was forgotten is not started again: a server that was paused may give its order very late. The runner holds no state on disk: a mover dies with its transport (it asks the kernel for that), and
 * what a dead mover left behind is removed by `cleanUp` before its task is called failed, and at the next start.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { toWire, type WireFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { stopped } from '../base/failures.ts';
import { dataSessionName } from '../contract/data-channel.ts';
import type { TaskEvent, TaskInput, TaskKind, TaskState } from '../contract/tasks.ts';
import { answerPace, openPaces, type PaceAnswer, type PaceAsked } from '../mover/paces.ts';
import { openKeptEvents, type KeptEvents } from './kept-events.ts';
import { moverDied, taskExists, taskUnknown, tooManyTasks } from './failures.ts';
import { openMovers } from './movers.ts';
import type { Programs } from './task-context.ts';

/** What goes down to a mover, and what comes up. */
export type ToMover = { kind: 'run'; task: MoverTask } | { kind: 'stop' } | { kind: 'connection'; firstHex: string } | PaceAnswer;
export type FromMover = { kind: 'event'; event: TaskEvent } | { kind: 'finished'; output: unknown } | { kind: 'failed'; failure: WireFailure } | PaceAsked;
export type MoverTask = { taskId: string; /** Whose work it is. */ session?: string | undefined; kind: TaskKind; input: unknown; directory: string; keepDirectory: string; programs: Programs; identityFile?: string };

type Task = {
  readonly kind: TaskKind;
  /** What every line of the log that is about it has. */
  readonly about: { readonly taskId: string; readonly kind: TaskKind; readonly session?: string };
  readonly child: ChildProcess;
  readonly events: KeptEvents;
  state: TaskState;
  lastStep: string;
  stopping: boolean;
  waiters: Set<() => void>;
  /** The name by which connections to the transport's own port ask for this task. */
  readonly asked: string | undefined;
};

export type TaskRunner = {
  start(taskId: string, kind: TaskKind, input: unknown, session?: string): Promise<void>;
  /** Calls `onEvent` for every event from number `after` + 1 on that is kept, then resolves with the final state. */
  watch(taskId: string, after: number, onEvent: (number: number, event: TaskEvent) => Promise<void> | void, signal: AbortSignal): Promise<TaskState>;
  stop(taskId: string): void;
  list(): { taskId: string; kind: TaskKind; state: TaskState }[];
  forget(taskId: string): void;
  /** Gives a connection to the running task that is asked for; one that nobody knows is hung up on. */
  handOver(asked: string, socket: Socket, first: Buffer): void;
  /** Stops every task and waits for the children. */
  close(): Promise<void>;
};

export type RunnerOptions = {
  workDirectory: string;
  programs: Programs;
  /** Handed to movers, which show it to other hosts. */
  identityFile?: string;
  log: Log;
  /** Removes what a dead mover left in its directory: mounts, temporary mongods, locks. */
  cleanUp: (directory: string) => Promise<void>;
  limit?: number;
  stopWithinMs?: number;
  /** Movers' log lines go nowhere: for a program whose stderr a person reads. */
  quiet?: boolean;
  /** Takes movers' log lines in the place of this process's own output. */
  output?: number;
  /** A mover waits for the next task at all times. */
  keepMover?: boolean;
};

const forgottenKept = 10_000;

/** What outlives tasks, such as kept clones and the markers of locks. */
export const keptIn = (workDirectory: string): string => join(workDirectory, 'kept');

/** Where copies keep their clones and markers. */
export const copiesIn = (workDirectory: string): string => join(keptIn(workDirectory), 'copies');


export async function openTaskRunner(options: RunnerOptions): Promise<TaskRunner> {
  const { log, programs } = options;
  const tasksDirectory = join(options.workDirectory, 'tasks');
  const keepDirectory = keptIn(options.workDirectory);
  await mkdir(tasksDirectory, { recursive: true, mode: 0o700 });
  await mkdir(keepDirectory, { recursive: true, mode: 0o700 });
  const remove = async (name: string): Promise<void> => {
    const directory = join(tasksDirectory, name);
    await options.cleanUp(directory);
    await rm(directory, { recursive: true, force: true });
  };
  for (const name of await readdir(tasksDirectory)) await remove(name);

  const movers = openMovers({ ...options, quiet: options.quiet === true, keepOne: options.keepMover === true });
  const tasks = new Map<string, Task>();
  const forgotten = new Set<string>();
  const ends = new Set<Promise<void>>();
  const pace = openPaces();

  const find = (taskId: string): Task => {
    const task = tasks.get(taskId);
    if (task === undefined) throw taskUnknown({ taskId });
    return task;
  };

  const record = (task: Task, event: TaskEvent): void => {
    if (event.kind === 'step') task.lastStep = event.step;
    task.events.add(event);
    for (const wake of task.waiters) wake();
  };

  const finish = (task: Task, state: TaskState): void => {
    task.state = state;
    for (const wake of task.waiters) wake();
  };

  async function run(taskId: string, task: Task): Promise<void> {
    let outcome: TaskState | undefined;
    task.child.on('message', (message: FromMover) => {
      if (message.kind === 'event') record(task, message.event);
      else if (message.kind === 'pace') void answerPace(message, pace).then((answer: ToMover) => task.child.connected && task.child.send(answer, () => {}));
      else if (message.kind === 'finished') outcome = { state: 'finished', output: message.output };
      else outcome = { state: 'failed', failure: message.failure };
    });
    const status = await new Promise<string>((resolve) => {
      task.child.once('error', (error) => resolve(error.message));
      task.child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    await remove(taskId).catch((error: unknown) => log.warn('a task directory could not be removed', { taskId, why: String(error) }));
    const died = task.stopping ? stopped({ what: `task ${taskId}` }) : moverDied({ task: taskId, status, lastStep: task.lastStep });
    finish(task, outcome ?? { state: 'failed', failure: toWire(died) });
    log.info('task ended', { ...task.about, state: task.state.state });
  }

  const stop = (taskId: string): void => {
    const task = find(taskId);
    if (task.state.state !== 'running' || task.stopping) return;
    task.stopping = true;
    const order: ToMover = { kind: 'stop' };
    if (task.child.connected) task.child.send(order, () => {});
    const timer = setTimeout(() => task.child.kill('SIGKILL'), options.stopWithinMs ?? 30_000);
    task.child.once('close', () => clearTimeout(timer));
  };

  return {
    async start(taskId, kind, input, session) {
      const known = tasks.get(taskId);
      if (known !== undefined) {
        if (known.kind !== kind) throw taskExists({ taskId, kind: known.kind });
        return;
      }
      if (forgotten.has(taskId)) throw taskUnknown({ taskId });
      const limit = options.limit ?? 64;
      if ([...tasks.values()].filter((task) => task.state.state === 'running').length >= limit) throw tooManyTasks({ limit });
      const directory = join(tasksDirectory, taskId);
      // Before there is a process to run the task, and without a pause in which it could be started twice.
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const child = movers.take(kind);
      const task: Task = { kind, about: { taskId, kind, ...(session !== undefined && { session }) }, child, events: openKeptEvents(), state: { state: 'running' }, lastStep: 'start', stopping: false, waiters: new Set(), asked: askedName(kind, input) };
      tasks.set(taskId, task);
      const end = run(taskId, task).finally(() => ends.delete(end));
      ends.add(end);
      const job: ToMover = { kind: 'run', task: { taskId, session, kind, input, directory, keepDirectory, programs, identityFile: options.identityFile } };
      child.send(job, (error) => {
        if (error !== null) child.kill('SIGKILL');
      });
      log.info('task started', { ...task.about, pid: child.pid });
    },

    async watch(taskId, after, onEvent, signal) {
      const task = find(taskId);
      for (let seen = after; ; ) {
        for (let next = task.events.from(seen + 1); next !== undefined; next = task.events.from(seen + 1)) {
          signal.throwIfAborted();
          await onEvent(next.number, next.event);
          seen = next.number;
        }
        if (task.state.state !== 'running') return task.state;
        await awake(task, signal);
      }
    },

    stop,

    list: () => [...tasks].map(([taskId, task]) => ({ taskId, kind: task.kind, state: task.state })),

    forget(taskId) {
      if (find(taskId).state.state === 'running') return;
      tasks.delete(taskId);
      forgotten.add(taskId);
      for (const oldest of forgotten) if (forgotten.size > forgottenKept) forgotten.delete(oldest);
    },

    handOver(asked, socket, first) {
      const task = [...tasks.values()].find((one) => one.asked === asked && one.state.state === 'running');
      if (task?.child.connected !== true) return void socket.destroy();
      task.child.send({ kind: 'connection', firstHex: first.toString('hex') } satisfies ToMover, socket, {}, (error) => {
        if (error !== null) socket.destroy();
      });
    },

    async close() {
      for (const taskId of tasks.keys()) stop(taskId);
      await Promise.all([movers.close(), ...ends]);
    },
  };
}

function askedName(kind: TaskKind, input: unknown): string | undefined {
  if (kind !== 'serve-archive' && kind !== 'relay-channels') return undefined;
  const { singlePort, ticket, asked } = input as Partial<TaskInput<'serve-archive'> & TaskInput<'relay-channels'>>;
  if (typeof singlePort !== 'number') return undefined;
  return kind === 'relay-channels' ? asked : typeof ticket === 'string' ? dataSessionName(ticket) : undefined;
}

/** Resolves when the task has news; rejects when the watcher goes away. */
function awake(task: Task, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      task.waiters.delete(wake);
      signal.removeEventListener('abort', leave);
    };
    const wake = (): void => {
      done();
      resolve();
    };
    const leave = (): void => {
      done();
      reject(signal.reason as Error);
    };
    if (signal.aborted) return leave();
    task.waiters.add(wake);
    signal.addEventListener('abort', leave, { once: true });
  });
}
