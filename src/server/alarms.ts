/**
 * Alarms: what makes moments unreachable, kept until a new base backup was started for it.
 *
 * An alarm is recorded before it is answered and has an id made from what it is about: told twice, it is raised once.
 * While a backup of the set runs the answer waits: that copy may have begun before the break.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import { laneTaken } from '../catalog/failures.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';

export type NewAlarm = { readonly setId: string; readonly key: string; readonly atMs: number; readonly what: string; readonly says: string };

export type Alarms = {
  raise(alarm: NewAlarm): Promise<void>;
  /** Starts what alarms ask for until the signal is aborted. */
  keepAnswering(startBackup: (setId: string, reason: string) => Promise<string>, signal: AbortSignal): Promise<void>;
};

export function openAlarms(options: { catalog: Catalog; clock: Clock; log: Log; everyMs?: number }): Alarms {
  const { catalog, clock, log } = options;
  let news = Promise.withResolvers<void>();
  return {
    async raise({ setId, key, atMs, what, says }) {
      const id = createHash('sha256').update(`${setId} ${key}`).digest('hex').slice(0, 24);
      const isNew = await catalog.sets.raiseAlarm({ id, set_id: setId, at_ms: atMs, what, says, backup_session: null });
      if (!isNew) return;
      log.error('alarm', { set: setId, what, says });
      news.resolve();
    },
    async keepAnswering(startBackup, signal) {
      while (!signal.aborted) {
        news = Promise.withResolvers<void>();
        for (const alarm of await catalog.sets.unansweredAlarms()) {
          try {
            await catalog.sets.answerAlarm(alarm.id, await startBackup(alarm.set_id, `${alarm.what}: ${alarm.says}`));
          } catch (error) {
            if (!isFailure(error, laneTaken)) log.warn('an alarm could not be answered', { set: alarm.set_id, why: describe(error) });
          }
        }
        await Promise.race([news.promise, clock.wait(options.everyMs ?? 10_000, signal).catch(() => {})]);
      }
    },
  };
}
