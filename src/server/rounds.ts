/**
 * Looks at what is due, again and again: a round says how long nothing will be.
 *
 *   round ──▶ waits as long as it said, a minute at most, because the wall clock may be set ──▶ round
 *     ▲  woken: something was changed here
 *     └─ of several servers the one that has the schedules; the others ask in five seconds whether it is gone
 */
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';

export type Rounds = { /** Looks at once. */ wake(): void };
export type RoundsOptions = { clock: Clock; log: Log; /** Whether this server is the one that looks. */ isMine?: (() => Promise<boolean>) | undefined; signal: AbortSignal };

export const longestWaitMs = 60_000;
const elsewhereMs = 5_000;

/** `what` is what could not be looked at when a round fails; it is then made again after a minute. */
export function keepRounds(what: string, round: () => Promise<number>, { clock, log, isMine, signal }: RoundsOptions): Rounds {
  let woken = new AbortController();
  const roundIfMine = async (): Promise<number> => (isMine === undefined || (await isMine()) ? await round() : elsewhereMs);
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      woken = new AbortController();
      const waitMs = await roundIfMine().catch((error: unknown) => {
        if (!signal.aborted) log.error(`${what} could not be looked at`, { why: describe(error) });
        return longestWaitMs;
      });
      await clock.wait(Math.min(longestWaitMs, waitMs), AbortSignal.any([signal, woken.signal])).catch(() => {});
    }
  };
  void run();
  return { wake: () => woken.abort(new Error(`${what} have changed`)) };
}
