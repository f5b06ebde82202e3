/**
 * Which restore points of a set go, and why each of the others stays (docs/design/retention.md).
 *
 * Age is counted from the newest good point, and never from later than now: a set whose backups fail loses nothing
 * meanwhile, and a clock that jumps ahead deletes nothing. Good is a point that was proved: one that was not takes no other's place. Nor does one
 * whose time has not come yet: it was made while a clock was wrong, and until that time nothing is counted from it.
 */
import type { Weekday } from './rescan-schedule.ts';
import { weekdays } from './rescan-schedule.ts';

export type Retention = {
  readonly keep: { readonly kind: 'days'; readonly days: number } | { readonly kind: 'points'; readonly points: number };
  /** Weeks begin on `day`. */
  readonly weekly: { readonly count: number; readonly day: Weekday } | null;
  /** Months begin with this week of theirs. */
  readonly monthly: { readonly count: number; readonly week: 1 | 2 | 3 | 4 | 'last' } | null;
  /** Years begin with this month, 1 to 12. */
  readonly yearly: { readonly count: number; readonly month: number } | null;
};

/** `name`: of the policy, for the reasons. */
export type RetentionRule = { readonly name: string; readonly timeZone: string; readonly retention: Retention };

/** `bound`: what forbids its deletion whatever a rule says. */
export type KeptPoint = { readonly id: string; readonly createdAtMs: number; /** What its proof says; null: it has none. */ readonly ok: boolean | null; readonly bound: readonly string[] };

export type RetentionPlan = {
  /** Oldest first. */
  readonly stays: readonly { readonly id: string; readonly why: readonly string[] }[];
  readonly goes: readonly string[];
};

export const fewestPoints = 3;
/** Clocks of hosts are this far apart without being wrong. */
export const clocksApartMs = 3_600_000;
const dayMs = 86_400_000;

/** Without a rule nothing goes. `nowMs` is a time that has come for sure. */
export function planRetention(points: readonly KeptPoint[], rules: readonly RetentionRule[], nowMs: number): RetentionPlan {
  const ordered = [...points].sort(olderFirst);
  const toCome = ordered.filter(({ createdAtMs }) => createdAtMs - nowMs > clocksApartMs);
  const good = goodOf(ordered.filter((one) => !toCome.includes(one)));
  const reasons = new Map<string, string[]>(ordered.map(({ id }) => [id, []]));
  const keep = (id: string, why: string): void => void reasons.get(id)!.push(why);

  for (const { id, bound } of ordered) for (const why of bound) keep(id, why);
  for (const { id } of toCome) keep(id, 'the time it was made at has not come yet');
  if (rules.length === 0) for (const { id } of ordered) keep(id, 'no rule says that it may go');
  const fewest = good.at(-fewestPoints);
  for (const point of ordered) if (isNotOlder(point, fewest)) keep(point.id, amongNewest(point, good, fewestPoints));
  for (const rule of rules) {
    for (const point of ordered) if (isRecent(point, good, rule.retention, nowMs)) keep(point.id, `${rule.name}: ${saysOf(point, good, rule.retention)}`);
    for (const { id, why } of flagged(good, rule)) keep(id, `${rule.name}: ${why}`);
  }
  return {
    stays: ordered.filter(({ id }) => reasons.get(id)!.length > 0).map(({ id }) => ({ id, why: reasons.get(id)! })),
    goes: ordered.filter(({ id }) => reasons.get(id)!.length === 0).map(({ id }) => id),
  };
}

/** A set of which nothing was ever proved has only those that may yet turn out good. */
function goodOf(points: readonly KeptPoint[]): readonly KeptPoint[] {
  const proved = points.filter(({ ok }) => ok === true);
  return proved.length > 0 ? proved : points.filter(({ ok }) => ok === null);
}

function olderFirst(a: KeptPoint, b: KeptPoint): number {
  return a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1);
}

/** Where there is no border nothing is older than it. */
function isNotOlder(point: KeptPoint, border: KeptPoint | undefined): boolean {
  return border === undefined || olderFirst(point, border) >= 0;
}

function isRecent(point: KeptPoint, good: readonly KeptPoint[], { keep }: Retention, nowMs: number): boolean {
  if (keep.kind === 'points') return isNotOlder(point, good.at(-keep.points));
  const fromMs = Math.min(nowMs, good.at(-1)?.createdAtMs ?? nowMs);
  return fromMs - point.createdAtMs < keep.days * dayMs;
}

function saysOf(point: KeptPoint, good: readonly KeptPoint[], { keep }: Retention): string {
  return keep.kind === 'days' ? `kept for ${keep.days} days` : amongNewest(point, good, keep.points);
}

/** What is not good is not counted, and stays beside those that are. */
function amongNewest(point: KeptPoint, good: readonly KeptPoint[], count: number): string {
  return good.includes(point) ? `one of the newest ${count}` : `not proved good, and fewer than ${count} newer ones are`;
}

function flagged(good: readonly KeptPoint[], { retention, timeZone }: RetentionRule): { id: string; why: string }[] {
  const { weekly, monthly, yearly } = retention;
  const date = (point: KeptPoint): Temporal.PlainDate => Temporal.Instant.fromEpochMilliseconds(Math.floor(point.createdAtMs)).toZonedDateTimeISO(timeZone).toPlainDate();
  return [
    ...(weekly === null ? [] : firstOfEach(good, weekly.count, (point) => weekOf(date(point), weekly.day)).map((id) => ({ id, why: `weekly, from ${weekly.day}` }))),
    ...(monthly === null ? [] : firstOfEach(good, monthly.count, (point) => monthOf(date(point), monthly.week)).map((id) => ({ id, why: `monthly, from week ${monthly.week}` }))),
    ...(yearly === null ? [] : firstOfEach(good, yearly.count, (point) => yearOf(date(point), yearly.month)).map((id) => ({ id, why: `yearly, from month ${yearly.month}` }))),
  ];
}

/** The first point of each period, of the newest so many periods that have one. Periods are named so that their names sort. */
function firstOfEach(good: readonly KeptPoint[], count: number, periodOf: (point: KeptPoint) => string): string[] {
  const first = new Map<string, string>();
  for (const point of good) {
    const period = periodOf(point);
    if (!first.has(period)) first.set(period, point.id);
  }
  return [...first].sort(([a], [b]) => (a < b ? 1 : -1)).slice(0, count).map(([, id]) => id);
}

function weekOf(date: Temporal.PlainDate, day: Weekday): string {
  return date.subtract({ days: (date.dayOfWeek - weekdays.indexOf(day) - 1 + 7) % 7 }).toString();
}

function monthOf(date: Temporal.PlainDate, week: 1 | 2 | 3 | 4 | 'last'): string {
  const begins = week === 'last' ? date.daysInMonth - 6 : 1 + 7 * (week - 1);
  return (date.day >= begins ? date : date.with({ day: 1 }).subtract({ months: 1 })).toPlainYearMonth().toString();
}

function yearOf(date: Temporal.PlainDate, month: number): string {
  return String(date.month >= month ? date.year : date.year - 1).padStart(5, '0');
}
