/** Which archived oplog is needed (docs/design/oplog-retention.md). */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';

/** `points`: as long as the points that can use it. */
export type OplogRule = { readonly kind: 'points' } | { readonly kind: 'days'; readonly days: number };

export type OplogUser = {
  readonly checkpoint: ClusterTime;
  readonly top: ClusterTime;
  /** What its proof says; null: it has none. */
  readonly ok: boolean | null;
  /** The archived oplog holds its checkpoint. */
  readonly isUsable: boolean;
  /** A session works with it, and may want any moment behind it. */
  readonly isBusy: boolean;
};

/** The entries of (after, through]; null: to the end. */
export type NeededOplog = { readonly after: ClusterTime; readonly through: ClusterTime | null };

const daySeconds = 86_400;

/** Of several rules about one set the one that keeps more; null when there is none. */
export function widestRule(rules: readonly OplogRule[]): OplogRule | null {
  const days = rules.flatMap((rule) => (rule.kind === 'days' ? [rule.days] : []));
  if (rules.length === 0) return null;
  return days.length < rules.length ? { kind: 'points' } : { kind: 'days', days: Math.max(...days) };
}

/** `newest`: the last archived entry. Without a point nobody knows what is needed: everything. */
export function neededOplog(points: readonly OplogUser[], rule: OplogRule | null, newest: ClusterTime, nowMs: number): readonly NeededOplog[] {
  const ordered = [...points].sort((a, b) => compareTimes(a.checkpoint, b.checkpoint));
  const oldest = ordered[0];
  if (oldest === undefined || rule === null) return [{ after: { t: 0, i: 0 }, through: null }];
  if (rule.kind === 'points') return [{ after: oldest.checkpoint, through: null }];
  const border = { t: Math.floor(Math.min(newest.t, nowMs / 1000)) - rule.days * daySeconds, i: 0 };
  const good = goodOf(ordered);
  const from = (good.findLast(({ checkpoint }) => compareTimes(checkpoint, border) <= 0) ?? oldest).checkpoint;
  const older = ordered.filter(({ checkpoint }) => compareTimes(checkpoint, from) < 0);
  return [...older.map(({ checkpoint, top, isBusy }) => ({ after: checkpoint, through: isBusy ? null : { t: top.t, i: top.i } })), { after: from, through: null }];
}

/** As for the points themselves: where none was proved, those that have no proof count. */
function goodOf(points: readonly OplogUser[]): readonly OplogUser[] {
  const usable = points.filter(({ isUsable }) => isUsable);
  const proved = usable.filter(({ ok }) => ok === true);
  return proved.length > 0 ? proved : usable.filter(({ ok }) => ok === null);
}

/** Whether any of the entries of (after, through] is needed; what only touches a needed stretch stays as well, so that it is entered where it begins. */
export function isNeeded(needed: readonly NeededOplog[], after: ClusterTime, through: ClusterTime): boolean {
  return needed.some((stretch) => compareTimes(through, stretch.after) >= 0 && (stretch.through === null || compareTimes(after, stretch.through) <= 0));
}
