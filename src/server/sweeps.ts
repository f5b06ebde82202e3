/**
 * The sweeps that give space back by themselves (docs/design/repository-sweep.md, "By itself").
 *
 *   each night ──a week since the last, points were deleted, a backup or a sweep left something, or the last sweep failed──▶ session, under a claim ──▶ counts on
 *        └ none of these, or one is at work: counts on
 *
 * The session is opened before the night is counted: killed in between, the next round meets the claim.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import { alreadyBegun, laneTaken } from '../catalog/failures.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { SweepRow } from '../catalog/sweeps.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Sweeps as ShownSweeps } from '../contract/routes/repositories.ts';
import { sessionResult } from '../contract/sessions.ts';
import { weekdays } from '../domain/rescan-schedule.ts';
import { elapsed, nextRun, type PolicySchedule } from '../domain/schedule.ts';
import type { SweepWish } from './flows/sweep.ts';
import { ownTimeZone } from './own-time-zone.ts';
import { keepRounds, type Rounds, type RoundsOptions } from './rounds.ts';
import { laneOf, type SessionEngine } from './session-engine.ts';

/** Behind the re-read of the night, and before people come. */
const usual = { days: 7, at: '04:00' };
const dayMs = 86_400_000;
/** Summer time moves a night by an hour, and whoever changes the time by some. */
const slackMs = dayMs / 2;
const spreadMinutes = 60;
const minutesOfDay = 1_440;

/** Each repository some minutes later than the time, always the same: many that share a host or a storage do not begin at once. */
export function timeOf(repository: string, at: string): string {
  const later = createHash('sha256').update(repository).digest().readUInt16BE() % spreadMinutes;
  const [hours, minutes] = at.split(':').map(Number) as [number, number];
  const sum = (hours * 60 + minutes + later) % minutesOfDay;
  return `${String(Math.floor(sum / 60)).padStart(2, '0')}:${String(sum % 60).padStart(2, '0')}`;
}

const nightly = ({ repository, at }: SweepRow): PolicySchedule => ({ kind: 'daily', at: timeOf(repository, at), days: weekdays });
const dueFrom = ({ begun_ms, days }: SweepRow): number => begun_ms + days * dayMs - slackMs;

/** Archives that something else swept or tended meanwhile. */
function hasLeft({ result }: Pick<SessionRow, 'result'>): boolean {
  const made = result === null ? undefined : sessionResult.parse(JSON.parse(result));
  return made?.kind === 'sweep' && made.left.length > 0;
}

export type Sweeps = ReturnType<typeof openSweeps>;

export function openSweeps({ catalog, clock, timeZone = ownTimeZone() }: { catalog: Catalog; clock: Clock; timeZone?: string }) {
  let wake = (): void => {};
  /** The first one is due a week after the repository was seen. */
  const fresh = (repository: string, { days, at }: { days: number; at: string }): SweepRow => ({ repository, days, at, counts_from_ms: clock.now(), begun_ms: clock.now(), wanted_ms: null });

  return {
    timeZone,
    onChange: (act: () => void): void => void (wake = act),
    /** As it is now, or as it will be when its first night is looked for. */
    of: async (row: RepositoryRow): Promise<SweepRow> => (await catalog.sweeps.find(row.id)) ?? fresh(row.id, usual),
    /** 0 days: not by itself. */
    async set(row: RepositoryRow, wanted: { days: number; at: string }): Promise<void> {
      await catalog.sweeps.put(fresh(row.id, wanted));
      wake();
    },
    /** Points were deleted, or an archive was left: there is something to give back in the next night. */
    want: async (repository: string): Promise<void> => await catalog.sweeps.want(repository, clock.now()),
    /** Why it is due in this night; undefined: it is not. */
    async whyDue(sweep: SweepRow, nightMs: number): Promise<string | undefined> {
      const last = await catalog.sessions.newest('sweep', sweep.repository);
      if (dueFrom(sweep) <= nightMs) return sweep.days === 1 ? 'each night' : `every ${sweep.days} days`;
      if (last !== undefined && last.created_ms >= sweep.begun_ms && hasLeft(last)) return 'the last sweep left an archive to this one';
      if (sweep.wanted_ms !== null && sweep.wanted_ms >= sweep.begun_ms) return 'restore points were deleted';
      if (last !== undefined && (last.state === 'failed' || last.state === 'stopped') && last.created_ms >= sweep.begun_ms) return 'the last sweep did not come to its end';
      return (await catalog.sweeps.hasLeftovers(sweep.repository, sweep.begun_ms)) ? 'a backup that did not end well may have left something' : undefined;
    },
    view(sweep: SweepRow): ShownSweeps {
      const isWanted = sweep.wanted_ms !== null && sweep.wanted_ms >= sweep.begun_ms;
      const fromMs = isWanted ? sweep.counts_from_ms : Math.max(sweep.counts_from_ms, dueFrom(sweep));
      return { days: sweep.days === 0 ? null : sweep.days, at: sweep.at, nextAtMs: sweep.days === 0 ? null : nextRun(nightly(sweep), timeZone, fromMs) };
    },
  };
}

/** One night that was missed, or many, are one sweep. */
export function keepRepositoriesSwept(options: RoundsOptions & SweepRoundOptions): Rounds {
  return keepRounds('the sweeps', openSweepRound(options), options);
}

type SweepRoundOptions = Pick<RoundsOptions, 'clock' | 'log' | 'signal'> & { catalog: Catalog; sweeps: Sweeps; engine: Pick<SessionEngine, 'start' | 'find'> };

export function openSweepRound(options: SweepRoundOptions): () => Promise<number> {
  const { catalog, sweeps, engine, clock, log, signal } = options;

  async function begin(row: RepositoryRow, nightMs: number, why: string): Promise<void> {
    const wish: SweepWish = { repository: row.id, isByItself: true };
    let begunMs = clock.now();
    try {
      await engine.start({ kind: 'sweep', object: { kind: 'repository', id: row.id, name: row.name }, setId: null, lane: laneOf('sweep', row.id), wish, reason: `by itself: ${why}`, claim: `sweep/${row.id}/${nightMs}` });
    } catch (error) {
      signal.throwIfAborted();
      // One is at work: it is this night's, and what came after it began is for the next.
      if (isFailure(error, laneTaken)) begunMs = (await engine.find(String(error.details['session']))).created_ms;
      else if (!isFailure(error, alreadyBegun)) {
        log.warn('a sweep was not started', { repository: row.name, why: describe(error) });
        return;
      }
    }
    await catalog.sweeps.count(row.id, { begun_ms: begunMs });
  }

  return async () => {
    let waitMs = Infinity;
    for (const row of await catalog.repositories.list()) {
      if (row.is_attached === 1 || (await catalog.repositories.archives(row.id)).length === 0) continue;
      const sweep = await sweeps.of(row);
      const nowMs = clock.now();
      if ((await catalog.sweeps.find(row.id)) === undefined) await catalog.sweeps.put(sweep);
      if (sweep.days === 0) continue;
      // A clock that was set back must not put it to sleep until it has caught up.
      if (sweep.counts_from_ms > nowMs) await catalog.sweeps.count(row.id, { counts_from_ms: nowMs });
      if (sweep.begun_ms > nowMs) await catalog.sweeps.count(row.id, { begun_ms: nowMs });
      const { lastMs, nextMs } = elapsed(nightly(sweep), sweeps.timeZone, Math.min(nowMs, sweep.counts_from_ms), nowMs);
      if (lastMs === null) {
        if (nextMs !== null) waitMs = Math.min(waitMs, nextMs - nowMs);
        continue;
      }
      const why = await sweeps.whyDue(sweep, lastMs);
      if (why !== undefined) await begin(row, lastMs, why);
      await catalog.sweeps.count(row.id, { counts_from_ms: clock.now() });
    }
    return waitMs;
  };
}
