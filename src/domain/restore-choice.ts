/**
 * Which restore point leads to a moment.
 *
 * A point leads to T when its checkpoint is not after T, one oplog chain holds everything after the checkpoint up to T,
 * and no barrier lies after the checkpoint up to T. Of those the newest is taken: the least to replay. Chains are never
 * mixed: two chains are two histories until proved otherwise. A point goes along the chain that it is of (domain/point-chain.ts), and where two
 * histories have the same time T, the newer one is meant from its first entry of its own on, unless a point of the older one is named.
 */
import { compareTimes, earliest, latest, sayTime, type ClusterTime } from '../base/cluster-time.ts';
import { isOfChain, type OfChain } from './point-chain.ts';
import { endOf, type Wanted } from './moment.ts';
import { justBefore, reach, type OplogSpan, type Stretch } from './oplog-chain.ts';

export type PointFacts = OfChain & {
  readonly id: string;
  readonly checkpoint: ClusterTime;
  readonly top: ClusterTime;
  readonly createdAtMs: number;
  /** What the last look at it found; null when nobody has looked yet. */
  readonly proved: boolean | null;
};

export type WindowFacts = {
  readonly points: readonly PointFacts[];
  readonly spans: readonly (OplogSpan & { readonly chain: string; /** A time before this belongs to the history before. */ readonly ownFrom?: ClusterTime | undefined })[];
  readonly barriers: readonly { readonly at: ClusterTime; readonly what: string }[];
};

export type Choice =
  | { readonly kind: 'point'; readonly point: string; readonly at: ClusterTime }
  | { readonly kind: 'refused'; readonly at: ClusterTime | null; readonly why: string; readonly lastSafe: ClusterTime | null };

export function chooseRestore(window: WindowFacts, wanted: Wanted): Choice {
  if (wanted.kind === 'point') return chooseNamed(window, wanted.point);
  const at = wanted.kind === 'latest' ? null : endOf(wanted);
  const usable = window.points.filter((point) => point.proved !== false);
  if (usable.length === 0) {
    const why = window.points.length === 0 ? 'there is no restore point yet' : 'no restore point passed its check';
    return { kind: 'refused', at, why, lastSafe: null };
  }
  const stretches = usable.map((point) => ({ point, stretch: stretchOf(window, point) }));
  if (at === null) {
    const to = newestMoment(window);
    if (to === null) return { kind: 'refused', at: null, why: 'the archived oplog covers no restore point yet', lastSafe: null };
    return chooseRestore(window, { kind: 'time', at: to });
  }
  const leading = stretches.filter(({ stretch }) => stretch !== undefined && compareTimes(stretch.from, at) <= 0 && compareTimes(at, stretch.to) <= 0);
  const best = leading.sort((a, b) => Number(isOwn(window, a.point, at)) - Number(isOwn(window, b.point, at)) || ageOf(window, a.point) - ageOf(window, b.point) || compareTimes(a.point.checkpoint, b.point.checkpoint) || a.point.createdAtMs - b.point.createdAtMs).at(-1);
  if (best !== undefined) return { kind: 'point', point: best.point.id, at };
  return { kind: 'refused', at, why: whyNot(window, usable, at), lastSafe: lastSafe(stretches, at) };
}

/** Where the newest history ends that a point leads along: not the latest time, where the set was put back to older files and clocks with it. */
export function newestMoment(window: WindowFacts): ClusterTime | null {
  const found = window.points.flatMap((point) => {
    const stretch = point.proved === false ? undefined : stretchOf(window, point);
    return stretch === undefined ? [] : [{ to: stretch.to, age: ageOf(window, point) }];
  });
  const newest = Math.max(...found.map(({ age }) => age));
  return found.filter(({ age }) => age === newest).map(({ to }) => to).sort(compareTimes).at(-1) ?? null;
}

/** Whether the set had come to the point's history by then. */
function isOwn({ spans }: WindowFacts, { chain }: PointFacts, at: ClusterTime): boolean {
  return spans.every((span) => span.chain !== chain || span.ownFrom === undefined || compareTimes(span.ownFrom, at) <= 0);
}

/** The place of a point's chain among all, the oldest first. */
function ageOf({ spans }: WindowFacts, { chain }: PointFacts): number {
  return [...new Set(spans.map((span) => span.chain))].indexOf(chain ?? '');
}

/** A point by its name stands for the newest entry in its own copy. */
function chooseNamed(window: WindowFacts, id: string): Choice {
  const point = window.points.find((known) => known.id === id);
  if (point === undefined) return { kind: 'refused', at: null, why: `restore point ${id} is not in the repository any more`, lastSafe: null };
  return chooseAt(window, point, { t: point.top.t, i: point.top.i });
}

/** Whether this very point leads to `at`. */
export function chooseAt(window: WindowFacts, point: PointFacts, at: ClusterTime): Choice {
  const stretch = stretchOf(window, point);
  if (stretch !== undefined && compareTimes(stretch.from, at) <= 0 && compareTimes(at, stretch.to) <= 0) return { kind: 'point', point: point.id, at };
  return { kind: 'refused', at, why: whyNot(window, [point], at), lastSafe: lastSafe([{ stretch }], at) };
}

/** Whether a refused moment lies after everything archived, with an open way up to there: more oplog may lead to it. */
export function mayStillCome(window: WindowFacts, choice: Choice): choice is Choice & { readonly kind: 'refused'; readonly at: ClusterTime } {
  if (choice.kind === 'point' || choice.at === null) return false;
  const grows = window.spans.at(-1)?.chain;
  const end = window.spans.filter(({ chain }) => chain === grows).map(({ through }) => through).sort(compareTimes).at(-1);
  const newest = chooseRestore(window, { kind: 'latest' });
  return end !== undefined && newest.kind === 'point' && compareTimes(newest.at, end) === 0 && compareTimes(choice.at, end) > 0;
}

/** What a plan that begins with such a point says first. */
export function unproved(point: string): string {
  return `restore point ${point} was NEVER PROVED: run "tidemark point verify ${point}" before you rely on it`;
}

/** Asks of many moments whether some point leads there. */
export function reachableMoments(window: WindowFacts): (at: ClusterTime) => boolean {
  const stretches = window.points.filter(({ proved }) => proved !== false).flatMap((point) => stretchOf(window, point) ?? []);
  return (at) => stretches.some(({ from, to }) => compareTimes(from, at) <= 0 && compareTimes(at, to) <= 0);
}

/** The moments one point leads to: from its checkpoint as far as its chain goes, and not onto a barrier. */
export function stretchOf(window: WindowFacts, point: PointFacts): Stretch | undefined {
  const from = { t: point.checkpoint.t, i: point.checkpoint.i };
  const ends = chainsOf(window, point).flatMap((spans) => {
    const entered = spans.some((span) => compareTimes(span.after, from) <= 0 && compareTimes(span.through, from) >= 0);
    return entered ? [farthest(from, spans)] : [];
  });
  const end = ends.reduce<ClusterTime | undefined>((far, next) => (far === undefined ? next : latest(far, next)), undefined);
  if (end === undefined) return undefined;
  const barrier = window.barriers.map(({ at }) => at).filter((at) => compareTimes(at, from) > 0).sort(compareTimes)[0];
  return { from, to: barrier === undefined ? end : earliest(end, justBefore(barrier)) };
}

function chainsOf(window: WindowFacts, point: PointFacts): OplogSpan[][] {
  return [...new Set(window.spans.map(({ chain }) => chain))].filter((chain) => isOfChain(point, chain)).map((chain) => window.spans.filter((span) => span.chain === chain));
}

function farthest(from: ClusterTime, spans: readonly OplogSpan[]): ClusterTime {
  const ends = spans.map(({ through }) => through).filter((through) => compareTimes(through, from) > 0).sort(compareTimes).reverse();
  return ends.find((end) => reach(from, spans, end).kind === 'reachable') ?? from;
}

function whyNot(window: WindowFacts, points: readonly PointFacts[], at: ClusterTime): string {
  const before = points.filter(({ checkpoint }) => compareTimes(checkpoint, at) <= 0).sort((a, b) => compareTimes(a.checkpoint, b.checkpoint));
  const base = before.at(-1);
  if (base === undefined) {
    const first = points.map(({ checkpoint }) => checkpoint).sort(compareTimes)[0];
    return `the oldest restore point begins at ${first === undefined ? 'no time' : sayTime(first)}`;
  }
  const barrier = window.barriers.filter((known) => compareTimes(known.at, base.checkpoint) > 0 && compareTimes(known.at, at) <= 0).sort((a, b) => compareTimes(a.at, b.at))[0];
  if (barrier !== undefined) return `${barrier.what} at ${sayTime(barrier.at)} cannot be replayed over`;
  const stretch = stretchOf(window, base);
  if (stretch === undefined) return `the archived oplog does not hold the checkpoint ${sayTime(base.checkpoint)} of restore point ${base.id}`;
  const resumes = window.spans.map(({ after }) => after).filter((after) => compareTimes(after, stretch.to) > 0).sort(compareTimes)[0];
  return resumes === undefined ? `the archived oplog reaches ${sayTime(stretch.to)}` : `the archived oplog has a gap after ${sayTime(stretch.to)} and resumes after ${sayTime(resumes)}`;
}

function lastSafe(stretches: readonly { readonly stretch: Stretch | undefined }[], at: ClusterTime): ClusterTime | null {
  const safe = stretches.flatMap(({ stretch }) => (stretch === undefined || compareTimes(stretch.from, at) > 0 ? [] : [earliest(stretch.to, at)]));
  return safe.sort(compareTimes).at(-1) ?? null;
}
