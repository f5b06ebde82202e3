/** The re-read of repositories: how often, what was read when, and the sessions that are due (docs/design/verification.md). */
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import { alreadyBegun, laneTaken } from '../catalog/failures.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { RereadRow } from '../catalog/verifications.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Reread } from '../contract/routes/repositories.ts';
import { freshParts, partsOfNight, readSince, withRead, type RereadParts } from '../domain/reread.ts';
import { elapsed, nextRun, type PolicySchedule } from '../domain/schedule.ts';
import { weekdays } from '../domain/rescan-schedule.ts';
import type { CheckWish } from './flows/check.ts';
import { ownTimeZone } from './own-time-zone.ts';
import { keepRounds, type Rounds, type RoundsOptions } from './rounds.ts';
import type { SessionEngine } from './session-engine.ts';

const usual = { days: 30, at: '01:00' };
const stored = z.object({ due: z.array(z.number()), read: z.array(z.number().nullable()) });
const partsOf = (text: string): RereadParts => stored.parse(JSON.parse(text));
const nightly = (at: string): PolicySchedule => ({ kind: 'daily', at, days: weekdays });

/** Since when all of the repository was read; null: not yet, or not at all. */
export const readSinceBy = ({ days, parts }: RereadRow): number | null => (days === 0 ? null : readSince(partsOf(parts)));

/** One re-read of a repository at a time. */
export const rereadLane = (repository: string): string => `reread:${repository}`;

export type Rereads = ReturnType<typeof openRereads>;

export function openRereads({ catalog, clock, timeZone = ownTimeZone() }: { catalog: Catalog; clock: Clock; timeZone?: string }) {
  const fresh = (repository: string, { days, at }: { days: number; at: string }): RereadRow => ({ repository, days, at, counts_from_ms: clock.now(), parts: JSON.stringify(freshParts(days, clock.now())) });
  let wake = (): void => {};

  return {
    timeZone,
    onChange: (act: () => void): void => void (wake = act),
    /** As it is now, or as it will be when its first night is looked for. */
    async of(row: RepositoryRow): Promise<RereadRow> {
      return (await catalog.rereads.find(row.id)) ?? fresh(row.id, usual);
    },
    /** Another number of days begins a round anew; 0 days: it is not re-read. */
    async set(row: RepositoryRow, wanted: { days: number; at: string }): Promise<void> {
      const before = await catalog.rereads.find(row.id);
      const isSameRound = before !== undefined && before.days === wanted.days;
      await catalog.rereads.put(isSameRound ? { ...before, at: wanted.at, counts_from_ms: clock.now() } : fresh(row.id, wanted));
      wake();
    },
    async start(row: RepositoryRow, reread: RereadRow, nightMs: number, engine: SessionEngine): Promise<void> {
      const parts = partsOfNight(partsOf(reread.parts), nightMs);
      if (parts.length === 0) return;
      const wish: CheckWish = { repository: row.id, readDataPercent: 0, slice: { of: reread.days, parts }, nightMs, only: null };
      await engine.start({ kind: 'check', object: { kind: 'repository', id: row.id, name: row.name }, setId: null, lane: rereadLane(row.id), wish, reason: `re-read, ${parts.length} of ${reread.days} parts`, claim: `reread/${row.id}/${nightMs}` });
    },
    /** A slice of another round than the one that is counted now counts for nothing. */
    async wasRead(repository: string, slice: { of: number; parts: readonly number[] }, nightMs: number): Promise<void> {
      await catalog.rereads.changeParts(repository, (text) => {
        const parts = partsOf(text);
        return parts.due.length === slice.of ? JSON.stringify(withRead(parts, slice.parts, nightMs, clock.now())) : text;
      });
    },
    view(reread: RereadRow): Reread {
      const { read } = partsOf(reread.parts);
      if (reread.days === 0) return { days: null, at: reread.at, nextAtMs: null, readSinceMs: null, partsRead: 0 };
      return { days: reread.days, at: reread.at, nextAtMs: nextRun(nightly(reread.at), timeZone, reread.counts_from_ms), readSinceMs: readSinceBy(reread), partsRead: read.filter((at) => at !== null).length };
    },
  };
}

/** One night that was missed, or many, are one session: its slice is the larger. */
export function keepRepositoriesReread(options: RoundsOptions & { catalog: Catalog; rereads: Rereads; engine: SessionEngine }): Rounds {
  const { catalog, rereads, engine, clock, log, signal } = options;

  async function begin(row: RepositoryRow, reread: RereadRow, nightMs: number): Promise<void> {
    try {
      await rereads.start(row, reread, nightMs, engine);
    } catch (error) {
      signal.throwIfAborted();
      // The last one is still at work: this night's slice is read when it has ended.
      if (isFailure(error, laneTaken)) return;
      if (!isFailure(error, alreadyBegun)) log.warn('a re-read was not started', { repository: row.name, why: describe(error) });
    }
    await catalog.rereads.countFrom(row.id, clock.now());
  }

  async function round(): Promise<number> {
    let waitMs = Infinity;
    for (const row of await catalog.repositories.list()) {
      if (row.is_attached === 1 || (await catalog.repositories.archives(row.id)).length === 0) continue;
      const reread = await rereads.of(row);
      const nowMs = clock.now();
      if ((await catalog.rereads.find(row.id)) === undefined) await catalog.rereads.put(reread);
      if (reread.days === 0) continue;
      // A clock that was set back must not put it to sleep until it has caught up.
      if (reread.counts_from_ms > nowMs) await catalog.rereads.countFrom(row.id, nowMs);
      const { lastMs, nextMs } = elapsed(nightly(reread.at), rereads.timeZone, Math.min(nowMs, reread.counts_from_ms), nowMs);
      if (lastMs !== null) await begin(row, reread, lastMs);
      else if (nextMs !== null) waitMs = Math.min(waitMs, nextMs - nowMs);
    }
    return waitMs;
  }

  return keepRounds('the re-reads', round, options);
}
