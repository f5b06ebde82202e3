/**
 * Alarms: what makes moments unreachable, kept until a new base backup has ended well.
 *
 *   raised ──no backup of the set runs that may have begun before──▶ answered by a backup ──success──▶ settled
 *                                                                        │ failed: again after 10 minutes, 3 times
 *                                                                        └ stopped by an operator, or given up ──▶ settled
 *
 * An alarm is recorded before it is answered and has an id made from what it is about: told twice, it is raised once.
 * Any backup that was asked for after the alarm is its answer, so many alarms at once ask for one backup.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import { laneTaken } from '../catalog/failures.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { AlarmRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';

export type NewAlarm = { readonly setId: string; readonly key: string; readonly atMs: number; readonly what: string; readonly says: string };

export type Alarms = {
  raise(alarm: NewAlarm): Promise<void>;
  /** Starts what alarms ask for until the signal is aborted. */
  keepAnswering(startBackup: (setId: string, reason: string) => Promise<string>, signal: AbortSignal, isMine?: () => Promise<boolean>): Promise<void>;
};

const backupsForOneAlarm = 4;

/** What an alarm asks for now, given the backups that were asked for since it was raised, newest first. */
export function nextForAlarm(backups: readonly Pick<SessionRow, 'id' | 'state' | 'ended_ms'>[], nowMs: number, retryAfterMs: number): { kind: 'start' | 'wait' } | { kind: 'settled'; by: string } {
  const done = backups.find(({ state }) => state === 'success' || state === 'warning');
  if (done !== undefined) return { kind: 'settled', by: done.id };
  const last = backups[0];
  if (last === undefined) return { kind: 'start' };
  if (last.ended_ms === null) return { kind: 'wait' };
  if (last.state === 'stopped' || backups.length >= backupsForOneAlarm) return { kind: 'settled', by: last.id };
  return { kind: nowMs - last.ended_ms >= retryAfterMs ? 'start' : 'wait' };
}

export function openAlarms(options: { catalog: Catalog; clock: Clock; log: Log; everyMs?: number; retryAfterMs?: number }): Alarms {
  const { catalog, clock, log, retryAfterMs = 600_000 } = options;
  let news = Promise.withResolvers<void>();

  async function answer(alarm: AlarmRow, startBackup: (setId: string, reason: string) => Promise<string>): Promise<void> {
    const backups = await catalog.sessions.backupsSince(alarm.set_id, alarm.raised_ms);
    const next = nextForAlarm(backups, clock.now(), retryAfterMs);
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
