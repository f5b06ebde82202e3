/**
 * Starts the copies that are due, as rescan-scheduler.ts does rescans: however many runs were missed, one is made, and one
 * is started before that is written down, so that a crash between the two loses none.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { CopyRow } from '../catalog/copies.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { nextCopy } from '../domain/copy-schedule.ts';
import { ownTimeZone, scheduleOf } from './copies.ts';

const longestWaitMs = 60_000;
/** How soon a server takes the schedules of one that is gone. */
const elsewhereMs = 5_000;

export function keepCopiesDue(options: { catalog: Catalog; start: (row: CopyRow) => Promise<void>; clock: Clock; log: Log; /** Whether this server is the one that starts them. */ isMine?: () => Promise<boolean>; signal: AbortSignal; timeZone?: string }): { wake(): void } {
  const { catalog, start, clock, log, signal, timeZone = ownTimeZone() } = options;
  let woken = new AbortController();

  async function startDue(): Promise<number> {
    if (options.isMine !== undefined && !(await options.isMine())) return elsewhereMs;
    let waitMs = longestWaitMs;
    for (const row of await catalog.copies.list()) {
      const next = nextCopy(scheduleOf(row), timeZone, row.counts_from_ms);
      if (next === null) continue;
      // A clock that was set back must not put a copy to sleep until it has caught up.
      if (row.counts_from_ms > clock.now()) await catalog.copies.countFrom(row.id, clock.now());
      if (next > clock.now()) {
        waitMs = Math.min(waitMs, next - clock.now());
        continue;
      }
      await start(row).catch((error: unknown) => {
        // A server that ends leaves the run to the next one.
        signal.throwIfAborted();
        log.warn('a scheduled copy was not started', { copy: row.id, why: describe(error) });
      });
      await catalog.copies.countFrom(row.id, clock.now());
    }
    return waitMs;
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      woken = new AbortController();
      const waitMs = await startDue().catch((error: unknown) => {
        if (!signal.aborted) log.error('the schedules of copies could not be looked at', { why: describe(error) });
        return longestWaitMs;
      });
      await clock.wait(waitMs, AbortSignal.any([signal, woken.signal])).catch(() => {});
    }
  };
  void run();
  return { wake: () => woken.abort(new Error('a copy was added or taken away')) };
}
