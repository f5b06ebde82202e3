import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import type { Random } from '../bench/random.ts';

/** Why a moment is worth restoring to. */
export type MomentKind = 'operation' | 'command' | 'transaction' | 'inside a transaction' | 'noop' | 'slice border' | 'no operation';
export type Landmark = { readonly at: ClusterTime; readonly kind: MomentKind };

/** What an oplog entry is, as a place to cut: `first` is the first field of its `o`. */
export function kindOf(entry: { op: string; first?: string; session: boolean; isPartial: boolean }): MomentKind {
  if (entry.op === 'n') return 'noop';
  if (entry.op !== 'c') return 'operation';
  if (entry.isPartial) return 'inside a transaction';
  return entry.first === 'applyOps' && entry.session ? 'transaction' : 'command';
}

/** A kind first, so that rare ones are tried as often as frequent ones; then any landmark of that kind. */
export function chooseMoment(landmarks: readonly Landmark[], random: Random): Landmark {
  if (landmarks.length === 0) throw new Error('no moment to choose from');
  const kinds = [...new Set(landmarks.map(({ kind }) => kind))];
  const kind = random.pick([...kinds, 'no operation' as const]);
  if (kind !== 'no operation') return random.pick(landmarks.filter((each) => each.kind === kind));
  // Between two operations of one second, or after the last of a second: a time that nothing happened at.
  const at = random.pick(landmarks.slice(0, -1).length > 0 ? landmarks.slice(0, -1) : landmarks).at;
  const next = landmarks.find((each) => compareTimes(each.at, at) > 0);
  const between = { t: at.t, i: at.i + 1_000 };
  return next === undefined || compareTimes(between, next.at) >= 0 ? { at, kind: 'operation' } : { at: between, kind };
}

export function within<T extends { at: ClusterTime }>(landmarks: readonly T[], after: ClusterTime, through: ClusterTime): T[] {
  return landmarks.filter(({ at }) => compareTimes(at, after) > 0 && compareTimes(at, through) <= 0);
}
