/**
 * Alarms: what makes moments unreachable, kept until a new base is there.
 *
 *   raised ──no backup of the set runs that may have begun before──▶ answered by a backup ──a good point that leads on──▶ settled
 *                                                                        └ failed, stopped by an operator, or its point does not
 *                                                                          lead on: again after 10 minutes, doubled up to 6 hours
 *
 * An alarm is recorded before it is answered and has an id made from what it is about: told twice, it is raised once.
 * Any backup that was asked for after the alarm is its answer, so many alarms at once ask for one backup. One of a set that is not
 * protected any more is settled by that.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import { laneTaken } from '../catalog/failures.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { AlarmRow, SetRow } from '../catalog/sets.ts';
import { sessionResult } from '../contract/sessions.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';

export type NewAlarm = { readonly setId: string; readonly key: string; readonly atMs: number; readonly what: string; readonly says: string };

export type Alarms = {
  raise(alarm: NewAlarm): Promise<void>;
  /** Starts what alarms ask for until the signal is aborted. */
  keepAnswering(startBackup: (setId: string, reason: string) => Promise<string>, signal: AbortSignal, isMine?: () => Promise<boolean>): Promise<void>;
};

export type Backup = Pick<SessionRow, 'id' | 'state' | 'ended_ms' | 'result'>;
export type Retry = { readonly firstMs: number; readonly mostMs: number };

const usualRetry: Retry = { firstMs: 600_000, mostMs: 6 * 3_600_000 };
const quietFailures = 3;

/** What an alarm asks for now, given the backups that were asked for since it was raised, newest first. */
export function nextForAlarm(backups: readonly Backup[], isAnswer: (backup: Backup) => boolean, nowMs: number, retry: Retry): { kind: 'start' | 'wait' } | { kind: 'settled'; by: string } {
  const answer = backups.find((backup) => hasMadePoint(backup) && isAnswer(backup));
  if (answer !== undefined) return { kind: 'settled', by: answer.id };
  const last = backups[0];
  if (last === undefined) return { kind: 'start' };
  if (last.ended_ms === null) return { kind: 'wait' };
  const waitMs = Math.min(retry.mostMs, retry.firstMs * 2 ** (backups.length - 1));
  return { kind: nowMs - last.ended_ms >= waitMs ? 'start' : 'wait' };
}

/** Whether another try comes so soon that nobody needs to hear of a failure yet. */
export function isTriedAgainSoon(backups: readonly Backup[]): boolean {
  return backups.length <= quietFailures && !backups.some(hasMadePoint);
}

const hasMadePoint = ({ state }: Backup): boolean => state === 'success' || state === 'warning';

/** The points of a set that count, and whether none of them leads into what is archived now. */
export type BaseStanding = { readonly good: ReadonlySet<string>; readonly isNeeded: boolean };

function answersBy({ good, isNeeded }: BaseStanding): (backup: Backup) => boolean {
  return ({ result }) => {
    const made = result === null ? undefined : sessionResult.parse(JSON.parse(result));
    return !isNeeded && made?.kind === 'backup' && good.has(made.point);
  };
}

export function openAlarms(options: { catalog: Catalog; clock: Clock; log: Log; baseOf: (set: SetRow) => Promise<BaseStanding>; everyMs?: number; retry?: Retry }): Alarms {
  const { catalog, clock, log, baseOf, retry = usualRetry } = options;
  let news = Promise.withResolvers<void>();

  async function answer(alarm: AlarmRow, startBackup: (setId: string, reason: string) => Promise<string>): Promise<void> {
    const backups = await catalog.sessions.backupsSince(alarm.set_id, alarm.raised_ms);
    const set = await catalog.sets.find(alarm.set_id);
    if (set === undefined) return await catalog.sets.answerAlarm(alarm.id, { is_settled: 1 });
    const next = nextForAlarm(backups, answersBy(await baseOf(set)), clock.now(), retry);
    if (next.kind === 'settled') return await catalog.sets.answerAlarm(alarm.id, { backup_session: next.by, is_settled: 1 });
    const session = next.kind === 'start' ? await startBackup(alarm.set_id, `${alarm.what}: ${alarm.says}`) : backups[0]?.id;
    if (session !== undefined && session !== alarm.backup_session) await catalog.sets.answerAlarm(alarm.id, { backup_session: session });
  }

  const away = (error: unknown): AlarmRow[] => {
    log.warn('the alarms could not be looked at', { why: describe(error) });
    return [];
  };
  return {
    async raise({ setId, key, atMs, what, says }) {
      const id = createHash('sha256').update(`${setId} ${key}`).digest('hex').slice(0, 24);
      const isNew = await catalog.sets.raiseAlarm({ id, set_id: setId, at_ms: atMs, raised_ms: clock.now(), what, says, backup_session: null, is_settled: 0 });
      if (!isNew) return;
      log.error('alarm', { set: setId, what, says });
      news.resolve();
    },
    async keepAnswering(startBackup, signal, isMine = async () => await Promise.resolve(true)) {
      while (!signal.aborted) {
        news = Promise.withResolvers<void>();
        const unsettled = async (): Promise<AlarmRow[]> => ((await isMine()) ? await catalog.sets.unsettledAlarms() : []);
        for (const alarm of await unsettled().catch(away)) {
          await answer(alarm, startBackup).catch((error: unknown) => {
            // A backup that may have begun before the alarm is no answer; the next one is.
            if (!isFailure(error, laneTaken)) log.warn('an alarm could not be answered', { set: alarm.set_id, why: describe(error) });
          });
        }
        await Promise.race([news.promise, clock.wait(options.everyMs ?? 10_000, signal).catch(() => {})]);
      }
    },
  };
}
