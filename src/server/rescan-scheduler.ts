/**
 * Starts the rescans that are due.
 *
 *   waiting ──the next run of a group is past──▶ started ──written down──▶ waiting
 *      ▲  a group was changed: woken
 *      └─ at least once a minute, because the wall clock may be set
 *
 * The next run is the first after the moment from which the group counts, and that moment becomes now: however many runs
 * were missed while the server was down, one is made. A rescan is started before that is written, so that a crash between
 * the two loses none; the one that is open then has the group's lane, and no second one begins.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { GroupRow } from '../catalog/groups.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { nextRescan } from '../domain/rescan-schedule.ts';
import { optionsOf } from './groups.ts';

export type RescanScheduler = { /** Looks at once: a group was changed. */ wake(): void };

const longestWaitMs = 60_000;
/** How soon a server takes the schedules of one that is gone. */
const elsewhereMs = 5_000;

export function keepRescansDue(options: { catalog: Catalog; start: (group: GroupRow) => Promise<void>; clock: Clock; log: Log; /** Whether this server is the one that starts them. */ isMine?: () => Promise<boolean>; signal: AbortSignal }): RescanScheduler {
  const { catalog, start, clock, log, signal } = options;
  let woken = new AbortController();

  async function startDue(): Promise<number> {
    if (options.isMine !== undefined && !(await options.isMine())) return elsewhereMs;
    let waitMs = longestWaitMs;
    for (const group of await catalog.groups.list()) {
      const { schedule, timeZone } = optionsOf(group);
      const next = group.is_enabled === 1 ? nextRescan(schedule, timeZone, group.counts_from_ms) : null;
      if (next === null) continue;
      // A clock that was set back must not put a group to sleep until it has caught up.
      if (group.counts_from_ms > clock.now()) await catalog.groups.update(group.id, { counts_from_ms: clock.now() });
      if (next > clock.now()) {
        waitMs = Math.min(waitMs, next - clock.now());
        continue;
      }
      await start(group).catch((error: unknown) => {
        // A server that ends leaves the run to the next one.
        signal.throwIfAborted();
        log.warn('a scheduled rescan was not started', { group: group.name, why: describe(error) });
      });
      await catalog.groups.update(group.id, { counts_from_ms: clock.now() });
    }
    return waitMs;
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      woken = new AbortController();
      const waitMs = await startDue().catch((error: unknown) => {
        if (!signal.aborted) log.error('the schedules of groups could not be looked at', { why: describe(error) });
        return longestWaitMs;
      });
      await clock.wait(waitMs, AbortSignal.any([signal, woken.signal])).catch(() => {});
    }
  };
  void run();
  return { wake: () => woken.abort(new Error('a group was changed')) };
}
