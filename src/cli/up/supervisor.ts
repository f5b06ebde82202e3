/**
 * The supervisor: keeps the parts of one machine running.
 *
 *   starting ──"ready"──▶ running ──ends──▶ waiting ──0.5 s … 30 s, doubled each time──▶ starting
 *       │ ends or is silent for 90 s before the first time it was ready: `up` fails and says what it printed
 *       └─ stop: asked with SIGTERM in reverse order, killed when its time is over
 *
 * A part that ran for ten seconds starts again after the shortest wait. Each part asks the kernel to end it when this
 * process ends and has an IPC pipe that closes then, so a killed supervisor leaves nothing behind. Parts are in
 * sessions of their own: Ctrl-C reaches this process alone, and the order of the stop is kept.
 */
import { fork, type ChildProcess } from 'node:child_process';
import type { Clock } from '../../base/clock.ts';
import { withDeadline } from '../../base/deadline.ts';
import { partNotReady } from '../failures.ts';
import type { PartLog } from './part-log.ts';

export type Part = {
  readonly name: string;
  readonly program: string;
  /** Addresses and paths only: arguments can be read by every user of the machine. */
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly log: PartLog;
  readonly stopWithinMs: number;
};

export type Supervisor = {
  /** What each part said when it was ready, by name; rejects when one of them does not get there. */
  readonly ready: Promise<Record<string, unknown>>;
  /** Stops the parts, the last one first. `atOnce` ends the waiting for those that are being stopped already. */
  stop(): Promise<void>;
  atOnce(): void;
};

export type SupervisorOptions = { node: readonly string[]; clock: Clock; say(line: string): void; readyWithinMs?: number; shortestWaitMs?: number };

const longestWaitMs = 30_000;
const steadyMs = 10_000;

export function supervise(parts: readonly Part[], options: SupervisorOptions): Supervisor {
  const ends = new AbortController();
  const runs = parts.map((part) => keepRunning(part, options, ends.signal));
  const ready = Promise.all(runs.map(async (run, at) => [parts[at]!.name, await run.ready] as const)).then((pairs) => Object.fromEntries(pairs));
  return {
    ready,
    async stop() {
      ends.abort();
      for (const run of runs.toReversed()) await run.stop();
    },
    atOnce() {
      for (const run of runs) run.kill();
    },
  };
}

type Running = { readonly ready: Promise<unknown>; stop(): Promise<void>; kill(): void };

function keepRunning(part: Part, options: SupervisorOptions, ending: AbortSignal): Running {
  const { clock, say } = options;
  let child: ChildProcess | undefined;
  const firstReady = Promise.withResolvers<unknown>();
  firstReady.promise.catch(() => {});
  const loop = run();

  async function run(): Promise<void> {
    const shortestMs = options.shortestWaitMs ?? 500;
    let wasReady = false;
    for (let waitMs = shortestMs; !ending.aborted; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
      const startedMs = clock.monotonicMs();
      const life = start(part, options.node);
      child = life.child;
      const whenReady = life.ready.then((message) => {
        if (wasReady) say(`${part.name} runs again`);
        wasReady = true;
        firstReady.resolve(message);
      });
      whenReady.catch(() => {});
      if (!wasReady) void failWhenSilent(whenReady, life.child);
      const status = await life.ended;
      if (ending.aborted) return;
      if (!wasReady) return firstReady.reject(partNotReady({ part: part.name, why: `it ended with ${status}${lastWords(part.log)}` }));
      if (clock.monotonicMs() - startedMs >= steadyMs) waitMs = shortestMs;
      say(`${part.name} ended with ${status}; it is started again in ${waitMs / 1000} s`);
      await clock.wait(waitMs, ending).catch(() => {});
    }
  }

  async function failWhenSilent(whenReady: Promise<void>, started: ChildProcess): Promise<void> {
    const ms = options.readyWithinMs ?? 90_000;
    await withDeadline(`the ${part.name} to be ready`, ms, async () => await whenReady, ending).catch((error: Error) => {
      if (ending.aborted || started.exitCode !== null || started.signalCode !== null) return;
      firstReady.reject(partNotReady({ part: part.name, why: error.message }, error));
    });
  }

  const kill = (): void => void child?.kill('SIGKILL');
  return {
    ready: firstReady.promise,
    kill,
    async stop() {
      child?.kill('SIGTERM');
      await withDeadline(`the ${part.name} to stop`, part.stopWithinMs, async () => await loop).catch(() => {
        say(`${part.name} did not stop within ${part.stopWithinMs / 1000} s and is killed`);
        kill();
      });
      await loop;
    },
  };
}

type Life = { readonly child: ChildProcess; readonly ready: Promise<unknown>; readonly ended: Promise<string> };

function start(part: Part, node: readonly string[]): Life {
  const child = fork(part.program, part.args, { execPath: node[0], execArgv: node.slice(1), stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...part.environment }, detached: true });
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => part.log.write(text));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const ready = new Promise<unknown>((resolve, reject) => {
    child.on('message', (message: { kind?: string }) => {
      if (message.kind === 'ready') resolve(message);
    });
    void ended.then((status) => reject(new Error(status)));
  });
  ready.catch(() => {});
  return { child, ready, ended };
}

/** What a part said last, if it was an error: its log is one JSON object a line. */
function lastWords(log: PartLog): string {
  const said = log.tail().toReversed().map((line) => {
    try {
      const { level, message, why } = JSON.parse(line) as { level?: string; message?: string; why?: string };
      return level === 'error' ? `: ${[message, why].filter((word) => word !== undefined).join(': ')}` : undefined;
    } catch {
      return /^\S*Error\b.*/.test(line) ? `: ${line}` : undefined;
    }
  });
  return said.find((words) => words !== undefined) ?? '';
}
