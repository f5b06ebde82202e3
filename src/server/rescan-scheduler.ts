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
import { describe } from '../base/failure.ts';
import { nextRescan } from '../domain/rescan-schedule.ts';
import { optionsOf } from './groups.ts';
import { keepRounds, longestWaitMs, type Rounds, type RoundsOptions } from './rounds.ts';

export function keepRescansDue(options: RoundsOptions & { catalog: Catalog; start: (group: GroupRow) => Promise<void> }): Rounds {
  const { catalog, start, clock, log, signal } = options;

  async function startDue(): Promise<number> {
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

  return keepRounds('the schedules of groups', startDue, options);
}
