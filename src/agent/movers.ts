/**
 * The processes that tasks run in. A quarter of a second of every task would be the start of its process, so one waits, loaded
 * and idle; when it is taken, the next one is started once the task that took it has had the processor for itself.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { keptCompiled } from '../base/compile-cache.ts';
import type { TaskKind } from '../contract/tasks.ts';
import type { Programs } from './task-context.ts';

export type Movers = {
  /** A process that runs no task yet. */
  take(kind: TaskKind): ChildProcess;
  /** Ends the one that waits: no process of it is left. */
  close(): Promise<void>;
};

export type MoverOptions = {
  readonly workDirectory: string;
  readonly programs: Programs;
  /** Movers' log lines go nowhere. */
  readonly quiet: boolean;
  /** An open file that takes movers' log lines where this process has no output of its own. */
  readonly output?: number;
  /** One waits at all times: for a service, not for a program that runs one task. */
  readonly keepOne: boolean;
};

const nextAfterMs = 5_000;

type Start = { readonly arguments: readonly string[]; readonly environment: NodeJS.ProcessEnv };

/**
 * TLS hands out what it decrypts in buffers outside the heap, and only a collection of the young generation frees them:
 * with a small one that is often and cheap. It takes a third off the processor time of serving an archive; another quarter goes
 * when the small heap behind it may grow by megabytes before all of it is marked again. And a data session
 * is open for as long as a set is protected and mostly idle. The C library keeps what was freed unless it is told so: large
 * pieces of memory are mapped and unmapped one by one, and threads share one heap.
 */
const ofSession: Start = {
  arguments: ['--max-semi-space-size=1', '--expose-gc', '--heap-growing-percent=300'],
  environment: { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' },
};
/** Kinds that are started in a way of their own; the others take the process that waits. */
const starts: Partial<Record<TaskKind, Start>> = { 'serve-archive': ofSession, 'relay-channels': ofSession };

export function openMovers(options: MoverOptions): Movers {
  const { programs } = options;
  const said = options.quiet ? 'ignore' : (options.output ?? 'inherit');
  let waiting: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const start = (kind: TaskKind | undefined): ChildProcess => {
    const own = kind === undefined ? undefined : starts[kind];
    return fork(programs.mover, kind === undefined ? ['waits'] : [], { execPath: programs.node[0], execArgv: [...programs.node.slice(1), ...(own?.arguments ?? [])], stdio: ['ignore', said, said, 'ipc'], env: { ...keptCompiled(options.workDirectory), ...own?.environment } });
  };

  const prepare = (): void => {
    if (closed || waiting !== undefined) return;
    const child = start(undefined);
    const gone = (): void => {
      if (waiting === child) waiting = undefined;
    };
    child.once('error', gone);
    child.once('exit', gone);
    waiting = child;
  };
  const prepareIn = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(prepare, ms);
    timer.unref();
  };
  if (options.keepOne) prepareIn(0);

  return {
    take(kind) {
      if (starts[kind] !== undefined || waiting?.connected !== true) return start(kind);
      const child = waiting;
      waiting = undefined;
      prepareIn(nextAfterMs);
      return child;
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      const child = waiting;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
      child.kill('SIGKILL');
      await gone;
    },
  };
}
