import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Bottleneck, TaskEvent } from '../contract/tasks.ts';
import type { AskPace } from '../mover/paces.ts';

/** How to start the other programs of this installation: the command and its first arguments. */
export type Programs = { readonly mover: string; readonly mount: string; readonly guardian: string; readonly node: readonly string[] };

export type ByteCounts = { processed: number; read: number; transferred: number; stored: number };

/** What a task gets besides its input. */
export type TaskContext = {
  readonly taskId: string;
  /** A directory of this task alone; removed when it ends, whatever way it ends. */
  readonly directory: string;
  /** A directory that outlives tasks. */
  readonly keepDirectory: string;
  readonly programs: Programs;
  /** What this host shows to other hosts; absent where there are none. */
  readonly identityFile?: string;
  /** Connections that came to the transport's own port for this task, from now on: paused, with what was read of them. */
  readonly onConnection: (take: (socket: Socket, first: Buffer) => void) => void;
  /** The rates of this host, where it has some in common with other tasks. */
  readonly pace?: AskPace;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  step(step: string): void;
  say(text: string, level?: 'info' | 'warning' | 'error'): void;
  progress(counts: ByteCounts, expected: number | null, bottleneck?: Bottleneck | null): void;
  status(key: string, value: unknown): void;
};

/** Builds the speaking half of a context. Progress is thinned to four a second; the last one is never lost. */
export function speak(emit: (event: TaskEvent) => void, clock: Clock): Pick<TaskContext, 'step' | 'say' | 'progress' | 'status'> & { flush(): void } {
  const everyMs = 250;
  let sentAt = -everyMs;
  let waiting: TaskEvent | undefined;
  const flush = (): void => {
    if (waiting !== undefined) emit(waiting);
    waiting = undefined;
  };
  return {
    flush,
    step: (step) => {
      flush();
      emit({ kind: 'step', atMs: clock.now(), step });
    },
    say: (text, level = 'info') => emit({ kind: 'line', atMs: clock.now(), level, text }),
    status: (key, value) => emit({ kind: 'status', atMs: clock.now(), key, value }),
    progress: (counts, expected, bottleneck = null) => {
      waiting = { kind: 'progress', atMs: clock.now(), ...counts, expected, bottleneck };
      if (clock.monotonicMs() - sentAt < everyMs) return;
      sentAt = clock.monotonicMs();
      flush();
    },
  };
}
