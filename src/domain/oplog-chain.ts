import { compareTimes, earliest, latest, sameTime, type ClusterTime } from '../base/cluster-time.ts';

/**
 * A stretch of oplog we hold: after `after`, up to and including `through`.
 *
 * Excluding the start makes continuity a question of equality: one span continues another exactly when its `after` is
 * the other's `through`. Being close proves nothing: thousands of writes share one second and differ only in `i`.
 */
export type OplogSpan = { readonly after: ClusterTime; readonly through: ClusterTime };

/** Whether the spans carry a base image to a moment. A gap is an answer here, not an error. */
export type Reach =
  | { readonly kind: 'reachable'; readonly replay: readonly OplogSpan[] }
  | { readonly kind: 'gap'; readonly after: ClusterTime; readonly resumesAt: ClusterTime | null }
  | { readonly kind: 'before-base'; readonly earliest: ClusterTime };

/** Walks `spans` of one history (any order, duplicates allowed) from `base` until one covers `target`. */
export function reach(base: ClusterTime, spans: readonly OplogSpan[], target: ClusterTime): Reach {
  if (compareTimes(target, base) < 0) return { kind: 'before-base', earliest: base };
  const replay: OplogSpan[] = [];
  let at = base;
  while (compareTimes(at, target) < 0) {
    // The first span is entered anywhere inside; from then on only equality continues the walk.
    const next = spans
      .filter((span) => (replay.length === 0 ? compareTimes(span.after, at) <= 0 : sameTime(span.after, at)) && compareTimes(span.through, at) > 0)
      .sort((a, b) => compareTimes(b.through, a.through))[0];
    if (next === undefined) {
      const later = spans.filter((span) => compareTimes(span.after, at) > 0).map((span) => span.after).sort(compareTimes)[0];
      return { kind: 'gap', after: at, resumesAt: later ?? null };
    }
    replay.push({ after: at, through: earliest(next.through, target) });
    at = next.through;
  }
  return { kind: 'reachable', replay };
}

const largest = 0xffffffff;

/** The time right before: a moment need not be an operation, so the state just before one is the state at this time. */
export function justBefore(time: ClusterTime): ClusterTime {
  return time.i > 0 ? { t: time.t, i: time.i - 1 } : { t: time.t - 1, i: largest };
}

function justAfter(time: ClusterTime): ClusterTime {
  return time.i < largest ? { t: time.t, i: time.i + 1 } : { t: time.t + 1, i: 0 };
}

/** A stretch of moments, both ends included. */
export type Stretch = { readonly from: ClusterTime; readonly to: ClusterTime };

/** The moments of any of these, without overlap, in order. */
export function unite(stretches: readonly Stretch[]): Stretch[] {
  const united: Stretch[] = [];
  for (const next of [...stretches].sort((a, b) => compareTimes(a.from, b.from))) {
    const last = united.at(-1);
    if (last === undefined || compareTimes(next.from, last.to) > 0) united.push(next);
    else united[united.length - 1] = { from: last.from, to: latest(last.to, next.to) };
  }
  return united;
}

/** The moments of `all` that `kept` has not. */
export function lostWithout(all: readonly Stretch[], kept: readonly Stretch[]): OplogSpan[] {
  const lost: OplogSpan[] = [];
  const stays = unite(kept);
  for (const stretch of unite(all)) {
    let next = stretch.from;
    for (const kept of stays) {
      if (compareTimes(kept.to, next) < 0 || compareTimes(kept.from, stretch.to) > 0) continue;
      if (compareTimes(kept.from, next) > 0) lost.push({ after: justBefore(next), through: justBefore(kept.from) });
      next = justAfter(kept.to);
    }
    if (compareTimes(next, stretch.to) <= 0) lost.push({ after: justBefore(next), through: stretch.to });
  }
  return lost;
}
