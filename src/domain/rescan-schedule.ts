/**
 * When a group is looked at again, by the wall clock of the group's time zone.
 *
 * A time that a day does not have (the clock is put forward) is taken as much later; one that it has twice is taken the
 * first time. The grid of `every` begins anew each day and counts elapsed time, so a day of 23 or 25 hours has as many
 * runs as it has room for, none lost and none doubled.
 */

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof weekdays)[number];

/** `at`, `from` and `to` are HH:MM; hours whose end is not after their begin go over midnight. */
export type RescanSchedule =
  | { readonly kind: 'off' }
  | { readonly kind: 'daily'; readonly at: string; readonly days: readonly Weekday[] }
  | { readonly kind: 'every'; readonly minutes: number; readonly hours: { readonly from: string; readonly to: string } | null };

/** The first run after a moment; null where there is none. */
export function nextRescan(schedule: RescanSchedule, timeZone: string, afterMs: number): number | null {
  if (schedule.kind === 'off' || (schedule.kind === 'daily' && schedule.days.length === 0)) return null;
  const today = Temporal.Instant.fromEpochMilliseconds(afterMs).toZonedDateTimeISO(timeZone).toPlainDate();
  // From yesterday, whose hours may go over midnight, to the same weekday of next week.
  for (let days = -1; days <= 8; days++) {
    const at = firstOn(today.add({ days }), schedule, timeZone, afterMs);
    if (at !== null) return at;
  }
  return null;
}

export function isTimeZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

function firstOn(day: Temporal.PlainDate, schedule: Exclude<RescanSchedule, { kind: 'off' }>, timeZone: string, afterMs: number): number | null {
  if (schedule.kind === 'daily') {
    const at = momentOf(day, schedule.at, timeZone);
    return schedule.days.includes(weekdays[day.dayOfWeek - 1]!) && at > afterMs ? at : null;
  }
  const { from, to } = schedule.hours ?? { from: '00:00', to: '00:00' };
  const begins = momentOf(day, from, timeZone);
  const ends = momentOf(to > from ? day : day.add({ days: 1 }), to, timeZone);
  const stepMs = schedule.minutes * 60_000;
  const at = begins + Math.max(0, Math.floor((afterMs - begins) / stepMs) + 1) * stepMs;
  return at < ends ? at : null;
}

function momentOf(day: Temporal.PlainDate, time: string, timeZone: string): number {
  return day.toPlainDateTime(Temporal.PlainTime.from(time)).toZonedDateTime(timeZone, { disambiguation: 'compatible' }).epochMilliseconds;
}
