/**
 * When a policy runs, by the wall clock of its time zone (docs/design/schedules.md).
 *
 * A time that a day does not have is the first moment after the gap; one that it has twice is the first of them. The grid
 * of `every` begins anew each day and counts elapsed time.
 */
import { weekdays, type Weekday } from './rescan-schedule.ts';

/** HH:MM both; hours whose end is not after their begin go over midnight, and the same time twice is a whole day. */
export type Hours = { readonly from: string; readonly to: string };

export type MonthDay = { readonly kind: 'weekday'; readonly nth: 1 | 2 | 3 | 4 | 'last'; readonly weekday: Weekday } | { readonly kind: 'day'; readonly day: number | 'last' };

/** `months` are 1 to 12, `day` is 1 to 28. */
export type PolicySchedule =
  | { readonly kind: 'manual' }
  | { readonly kind: 'daily'; readonly at: string; readonly days: readonly Weekday[] }
  | { readonly kind: 'monthly'; readonly at: string; readonly on: MonthDay; readonly months: readonly number[] }
  | { readonly kind: 'every'; readonly minutes: number; readonly hours: Hours | null; readonly days: readonly Weekday[] }
  | { readonly kind: 'continuous'; readonly hours: Hours | null }
  | { readonly kind: 'after'; readonly policy: string };

export type BackupWindow = Hours & { readonly days: readonly Weekday[] };

/** An open stretch: from `opensMs` up to and without `closesMs`. */
export type Opening = { readonly opensMs: number; readonly closesMs: number };

/** Between two runs of a policy that runs all the time. */
const pauseMs = 60_000;
const dayMs = 86_400_000;

/** The first run after a moment; null where the clock starts none. */
export function nextRun(schedule: PolicySchedule, timeZone: string, afterMs: number): number | null {
  switch (schedule.kind) {
    case 'manual':
    case 'after':
      return null;
    case 'continuous': {
      const fromMs = afterMs + pauseMs;
      const opening = schedule.hours === null ? null : nextOpening({ ...schedule.hours, days: weekdays }, timeZone, fromMs);
      return opening === null ? fromMs : Math.max(fromMs, opening.opensMs);
    }
    case 'daily':
    case 'monthly':
      return firstDay(schedule, timeZone, afterMs);
    case 'every':
      return firstOfGrid(schedule, timeZone, afterMs);
  }
}

/** The next so many runs, as far as the clock alone can tell. */
export function nextRuns(schedule: PolicySchedule, timeZone: string, afterMs: number, count: number): number[] {
  const runs: number[] = [];
  for (let at: number | null = afterMs; runs.length < count && at !== null; ) {
    at = nextRun(schedule, timeZone, at);
    if (at !== null) runs.push(at);
    if (schedule.kind === 'continuous') break;
  }
  return runs;
}

export type Elapsed = { /** Up to a limit. */ readonly moments: number; readonly lastMs: number | null; readonly isMore: boolean; /** The first after them. */ readonly nextMs: number | null };

/** How many moments lie after one and not after another. */
export function elapsed(schedule: PolicySchedule, timeZone: string, afterMs: number, throughMs: number, limit = 10_000): Elapsed {
  let moments = 0;
  let lastMs: number | null = null;
  let at = nextRun(schedule, timeZone, afterMs);
  while (at !== null && at <= throughMs) {
    if (moments === limit) return { moments, lastMs, isMore: true, nextMs: nextRun(schedule, timeZone, throughMs) };
    moments++;
    lastMs = at;
    at = nextRun(schedule, timeZone, schedule.kind === 'continuous' ? throughMs : at);
  }
  return { moments, lastMs, isMore: false, nextMs: at };
}

/** The stretch that is open at a moment, or else the next one; null: never. */
export function nextOpening(window: BackupWindow, timeZone: string, ms: number): Opening | null {
  const today = dayAt(ms, timeZone);
  for (let day = today - 1; day <= today + 8; day++) {
    if (!window.days.includes(weekdayOf(day))) continue;
    const opening = hoursOn(day, window, timeZone);
    if (opening.closesMs > ms && opening.closesMs > opening.opensMs) return opening;
  }
  return null;
}

function firstDay(schedule: Extract<PolicySchedule, { kind: 'daily' | 'monthly' }>, timeZone: string, afterMs: number): number | null {
  const today = dayAt(afterMs, timeZone);
  if (schedule.kind === 'monthly') return firstOfMonths(schedule, timeZone, afterMs, dateOf(today).with({ day: 1 }));
  for (let day = today; day <= today + 8; day++) {
    if (!schedule.days.includes(weekdayOf(day))) continue;
    const at = momentOf(day, schedule.at, timeZone);
    if (at > afterMs) return at;
  }
  return null;
}

function firstOfMonths(schedule: Extract<PolicySchedule, { kind: 'monthly' }>, timeZone: string, afterMs: number, first: Temporal.PlainDate): number | null {
  for (let months = 0; months <= 13; months++) {
    const month = first.add({ months });
    if (!schedule.months.includes(month.month)) continue;
    const at = momentOf(numberOf(dayIn(month, schedule.on)), schedule.at, timeZone);
    if (at > afterMs) return at;
  }
  return null;
}

/** `month`: its first day. */
function dayIn(month: Temporal.PlainDate, on: MonthDay): Temporal.PlainDate {
  if (on.kind === 'day') return month.with({ day: on.day === 'last' ? month.daysInMonth : on.day });
  const wanted = weekdays.indexOf(on.weekday) + 1;
  if (on.nth === 'last') {
    const last = month.with({ day: month.daysInMonth });
    return last.subtract({ days: (last.dayOfWeek - wanted + 7) % 7 });
  }
  return month.add({ days: ((wanted - month.dayOfWeek + 7) % 7) + 7 * (on.nth - 1) });
}

function firstOfGrid({ minutes, hours, days: wanted }: Extract<PolicySchedule, { kind: 'every' }>, timeZone: string, afterMs: number): number | null {
  const today = dayAt(afterMs, timeZone);
  const stepMs = minutes * 60_000;
  // From yesterday, whose hours may go over midnight.
  for (let day = today - 1; day <= today + 8; day++) {
    if (!wanted.includes(weekdayOf(day))) continue;
    const { opensMs, closesMs } = hoursOn(day, hours ?? { from: '00:00', to: '00:00' }, timeZone);
    const at = opensMs + Math.max(0, Math.floor((afterMs - opensMs) / stepMs) + 1) * stepMs;
    if (at < closesMs) return at;
  }
  return null;
}

function hoursOn(day: number, { from, to }: Hours, timeZone: string): Opening {
  return { opensMs: momentOf(day, from, timeZone), closesMs: momentOf(to > from ? day : day + 1, to, timeZone) };
}

/** Days are counted from 1 January 1970, a Thursday. */
function dayAt(ms: number, timeZone: string): number {
  return Math.floor((ms + offsetAt(ms, timeZone).offsetMs) / dayMs);
}

function weekdayOf(day: number): Weekday {
  return weekdays[(((day + 3) % 7) + 7) % 7]!;
}

const firstOfAll = Temporal.PlainDate.from('1970-01-01');
const dateOf = (day: number): Temporal.PlainDate => firstOfAll.add({ days: day });
const numberOf = (date: Temporal.PlainDate): number => firstOfAll.until(date).days;

/** The moment of a day's time: the first of two, and the first after a gap that swallows it. */
function momentOf(day: number, time: string, timeZone: string): number {
  const wall = day * dayMs + (Number(time.slice(0, 2)) * 60 + Number(time.slice(3))) * 60_000;
  const { fromMs, toMs, offsetMs } = offsetAt(wall, timeZone);
  const plain = wall - offsetMs;
  if (plain >= fromMs + dayMs && plain < toMs - dayMs) return plain;
  const wanted = dateOf(day).toPlainDateTime(Temporal.PlainTime.from(time));
  const at = wanted.toZonedDateTime(timeZone, { disambiguation: 'compatible' });
  if (at.toPlainDateTime().equals(wanted)) return at.epochMilliseconds;
  // A time at the very begin of the gap comes out at the change itself, which is not before itself.
  return (at.add({ nanoseconds: 1 }).getTimeZoneTransition('previous') ?? at).epochMilliseconds;
}

type Stretch = { readonly fromMs: number; readonly toMs: number; readonly offsetMs: number };

/** The last stretch between two changes of each zone's clocks that was asked for: the calendar is slow, and asked the same again and again. */
const known = new Map<string, Stretch>();

function offsetAt(ms: number, timeZone: string): Stretch {
  const last = known.get(timeZone);
  if (last !== undefined && ms >= last.fromMs && ms < last.toMs) return last;
  const at = Temporal.Instant.fromEpochMilliseconds(Math.floor(ms)).toZonedDateTimeISO(timeZone);
  const stretch = {
    fromMs: at.add({ nanoseconds: 1 }).getTimeZoneTransition('previous')?.epochMilliseconds ?? -Infinity,
    toMs: at.getTimeZoneTransition('next')?.epochMilliseconds ?? Infinity,
    offsetMs: at.offsetNanoseconds / 1_000_000,
  };
  known.set(timeZone, stretch);
  return stretch;
}
