/** When a copy runs by itself. Between runs an immediate one follows the archived oplog, and runs after each backup. */
import { nextRescan, weekdays } from './rescan-schedule.ts';

export type CopySchedule = { readonly kind: 'manual' } | { readonly kind: 'immediate' } | { readonly kind: 'every'; readonly minutes: number } | { readonly kind: 'daily'; readonly at: string };

/** The first run after a moment; null where the clock starts none. */
export function nextCopy(schedule: CopySchedule, timeZone: string, afterMs: number): number | null {
  if (schedule.kind === 'manual' || schedule.kind === 'immediate') return null;
  if (schedule.kind === 'every') return afterMs + schedule.minutes * 60_000;
  return nextRescan({ kind: 'daily', at: schedule.at, days: weekdays }, timeZone, afterMs);
}
