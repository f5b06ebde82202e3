/**
 * Starts the copies that are due, as rescan-scheduler.ts does rescans: however many runs were missed, one is made, and one
 * is started before that is written down, so that a crash between the two loses none.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { CopyRow } from '../catalog/copies.ts';
import { describe } from '../base/failure.ts';
import { nextCopy } from '../domain/copy-schedule.ts';
import { scheduleOf } from './copies.ts';
import { ownTimeZone } from './own-time-zone.ts';
import { keepRounds, longestWaitMs, type Rounds, type RoundsOptions } from './rounds.ts';

export function keepCopiesDue(options: RoundsOptions & { catalog: Catalog; start: (row: CopyRow) => Promise<void>; timeZone?: string }): Rounds {
  const { catalog, start, clock, log, signal, timeZone = ownTimeZone() } = options;

  async function startDue(): Promise<number> {
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

  return keepRounds('the schedules of copies', startDue, options);
}
