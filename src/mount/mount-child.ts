/** The mount process seen from its parent: started, told its job, watched, ended. Every wait has a deadline. */
import { spawn, type ChildProcess } from 'node:child_process';
import { keptCompiledToo } from '../base/compile-cache.ts';
import { withDeadline } from '../base/deadline.ts';
import { fromWire, isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import type { Log } from '../base/log.ts';
import { answerPace, openPaces } from '../mover/paces.ts';
import { mountProcessEnded, mountSilent } from './failures.ts';
import type { FromMountProcess, MountJob, ToMountProcess } from './mount-process.ts';
import type { Trouble } from './trouble.ts';

export type MountChild = {
  readonly pid: number;
  /** How it ended: an exit code or a signal. */
  readonly ended: Promise<string>;
  /** Reads and writes that the mount answered with an error, the first twenty. */
  readonly troubles: readonly Trouble[];
  readonly lastWords: string;
  /** Asks for a clean end, kills past the deadline. */
  close(deadlineMs: number): Promise<void>;
};

/** Threads for reads of /dev/fuse that wait all the time, and for the archive's files. */
const threads = '12';
const unmountShare = 0.5;

/** A mount process that has no job yet: it starts while its parent finds out what to mount. */
export type WaitingMount = Disposable & {
  /** The mount is there when it resolves. Once. */
  serve(options: { job: MountJob; readyMs: number; signal?: AbortSignal }): Promise<MountChild>;
};

/** `pace`: the rates that it shares with the task it is for. */
export function startMountChild(command: readonly string[], log: Log, pace = openPaces()): WaitingMount {
  const [program, ...args] = command;
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...keptCompiledToo(), UV_THREADPOOL_SIZE: threads, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  const troubles: Trouble[] = [];
  let lastWords = '';
  let isServing = false;
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-1000);
  });
  const ended = endOf(child);
  const handle: MountChild = {
    pid: child.pid ?? -1,
    ended,
    troubles,
    get lastWords() {
      return lastWords.trim();
    },
    close: async (deadlineMs) => await close(child, ended, deadlineMs),
  };
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message: FromMountProcess) => {
      if (message.kind === 'ready') resolve();
      else if (message.kind === 'failed') reject(fromWire(message.failure));
      else if (message.kind === 'pace') void answerPace(message, pace).then((answer) => tell(child, answer));
      else {
        const { path, operation, failure } = message;
        troubles.push({ path, operation, failure });
        log.error('the mount answered an error', { path, operation, why: failure.message, code: failure.code });
      }
    });
    void ended.then((status) => reject(mountProcessEnded({ status, lastWords: handle.lastWords })));
  });
  ready.catch(() => {});
  return {
    async serve({ job, readyMs, signal }) {
      isServing = true;
      tell(child, { kind: 'serve', job });
      try {
        await withDeadline('the mount process', readyMs, async () => await ready, signal);
        return handle;
      } catch (error) {
        await handle.close(2_000);
        if (isFailure(error, deadlinePassed)) throw mountSilent({ seconds: readyMs / 1000, lastWords: handle.lastWords }, error);
        throw error;
      }
    },
    [Symbol.dispose]() {
      if (!isServing) child.kill('SIGKILL');
    },
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

function tell(child: ChildProcess, message: ToMountProcess): void {
  if (child.connected) child.send(message, () => {});
}

async function close(child: ChildProcess, ended: Promise<string>, deadlineMs: number): Promise<void> {
  tell(child, { kind: 'close', deadlineMs: deadlineMs * unmountShare });
  await withDeadline('the end of the mount process', deadlineMs, async () => await ended).catch(async () => {
    child.kill('SIGKILL');
    await ended;
  });
}
