import { deadlinePassed } from './failures.ts';
import { systemClock, type Clock } from './clock.ts';

/**
 * Runs `work` with a deadline. The signal given to `work` is aborted when the deadline passes or `signal` is aborted;
 * the caller gets `base.deadline-passed` at once, even if `work` ignores its signal.
 */
export async function withDeadline<T>(what: string, ms: number, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
  const ends = new AbortController();
  const passed = deadlinePassed({ what, ms });
  return await new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => end(passed), ms);
    const onAbort = (): void => end(signal?.reason as Error);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const end = (reason: Error): void => {
      settle();
      ends.abort(reason);
      reject(reason);
    };
    if (signal?.aborted) return end(signal.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    work(ends.signal).then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error as Error);
      },
    );
  });
}

/** Asks `probe` every `everyMs` until it answers something other than undefined. Errors of the probe end the wait. */
export async function until<T>(
  what: string,
  ms: number,
  probe: (signal: AbortSignal) => Promise<T | undefined> | T | undefined,
  options: { everyMs?: number; signal?: AbortSignal; clock?: Clock } = {},
): Promise<T> {
  const clock = options.clock ?? systemClock;
  return await withDeadline(
    what,
    ms,
    async (signal) => {
      for (;;) {
        const value = await probe(signal);
        if (value !== undefined) return value;
        await clock.wait(options.everyMs ?? 50, signal);
      }
    },
    options.signal,
  );
}
