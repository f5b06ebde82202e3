/**
 * Which restore points a copy of a set should have, which of them are still to be copied, and which are too many.
 *
 * A point and its copy stand for the same moment. Of the proved points of the source and the good copies, those that the retention
 * keeps are wanted, and in any case the newest three. A copy is too much by the good copies there are, whatever is still to come
 * from the source. One with a failed proof takes no other's place, and goes no sooner than a good one of its age would. Nor does one whose time has not come
 * yet (domain/retention.ts): it was made while a clock was wrong. Until then it stays; and it is copied, because its data is as good as any, and
 * while the clock is wrong there may be no other new ones.
 */
import { clocksApartMs } from './retention.ts';

export type CopyKeep = { readonly kind: 'days'; readonly days: number } | { readonly kind: 'points'; readonly points: number };

/** `ok`: what its proof says; null: it has none. */
export type Original = { readonly id: string; readonly createdAtMs: number; readonly ok: boolean | null };
export type Copied = Original & { /** The point it is the copy of. */ readonly of: string };

export type CopyPlan = {
  /** Proved points of the source, oldest first. */
  readonly toCopy: readonly string[];
  /** Copies, oldest first; never one that has not three newer good ones. */
  readonly surplus: readonly string[];
};

export const fewestCopies = 3;

const dayMs = 86_400_000;

export function planCopies(originals: readonly Original[], copies: readonly Copied[], keep: CopyKeep, nowMs: number): CopyPlan {
  const isToCome = ({ createdAtMs }: Original): boolean => createdAtMs - nowMs > clocksApartMs;
  const good = copies.filter((copy) => copy.ok !== false && !isToCome(copy));
  const goodMoments = new Map(good.map(({ of, createdAtMs }) => [of, createdAtMs]));
  const proved = originals.filter(({ ok }) => ok === true);
  const moments = new Map([...goodMoments, ...proved.filter((one) => !isToCome(one)).map(momentOf)]);
  const isWanted = among(moments, keep, nowMs);
  const isKept = among(goodMoments, keep, nowMs);
  const copied = new Set(copies.map(({ of }) => of));
  return {
    toCopy: proved.filter((one) => !copied.has(one.id) && (isToCome(one) || isWanted(momentOf(one)))).map(momentOf).sort(newerFirst).reverse().map(([id]) => id),
    surplus: copies.filter((copy) => !isToCome(copy) && !isKept([copy.of, copy.createdAtMs])).sort((a, b) => newerFirst([b.of, b.createdAtMs], [a.of, a.createdAtMs])).map(({ id }) => id),
  };
}

type Moment = readonly [id: string, createdAtMs: number];

function momentOf({ id, createdAtMs }: Original): Moment {
  return [id, createdAtMs];
}

function newerFirst([a, aMs]: Moment, [b, bMs]: Moment): number {
  return bMs - aMs || (a < b ? 1 : -1);
}

/** Whether a moment stays, by how many of `moments` are newer. */
function among(moments: ReadonlyMap<string, number>, keep: CopyKeep, nowMs: number): (moment: Moment) => boolean {
  return (moment) => {
    const place = [...moments].filter((other) => other[0] !== moment[0] && newerFirst(other, moment) < 0).length;
    return place < fewestCopies || (keep.kind === 'points' ? place < keep.points : nowMs - moment[1] < keep.days * dayMs);
  };
}
