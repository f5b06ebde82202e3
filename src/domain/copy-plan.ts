/**
 * Which restore points a copy of a set should have, which of them are still to be copied, and which are too many.
 *
 * A point and its copy stand for the same moment. Of all there are, in the source and among the copies, those that the retention
 * keeps are wanted, and in any case the newest three.
 */
export type CopyKeep = { readonly kind: 'days'; readonly days: number } | { readonly kind: 'points'; readonly points: number };

export type Original = { readonly id: string; readonly createdAtMs: number };
export type Copied = Original & { /** The point it is the copy of. */ readonly of: string };

export type CopyPlan = {
  /** Points of the source, oldest first. */
  readonly toCopy: readonly string[];
  /** Copies, oldest first; never one of the newest three there are. */
  readonly surplus: readonly string[];
};

export const fewestCopies = 3;

const dayMs = 86_400_000;

export function planCopies(originals: readonly Original[], copies: readonly Copied[], keep: CopyKeep, nowMs: number): CopyPlan {
  const moments = new Map([...copies.map(({ of, createdAtMs }) => [of, createdAtMs] as const), ...originals.map(({ id, createdAtMs }) => [id, createdAtMs] as const)]);
  const newestFirst = [...moments].sort(([a, aMs], [b, bMs]) => bMs - aMs || (a < b ? 1 : -1));
  const wanted = new Set(newestFirst.filter(([, createdAtMs], place) => place < fewestCopies || isKept(keep, place, createdAtMs, nowMs)).map(([id]) => id));
  const copied = new Set(copies.map(({ of }) => of));
  const oldestFirst = [...copies].sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  return {
    toCopy: newestFirst.reverse().flatMap(([id]) => (wanted.has(id) && !copied.has(id) ? [id] : [])),
    surplus: oldestFirst.slice(0, Math.max(0, oldestFirst.length - fewestCopies)).flatMap(({ id, of }) => (wanted.has(of) ? [] : [id])),
  };
}

function isKept(keep: CopyKeep, place: number, createdAtMs: number, nowMs: number): boolean {
  return keep.kind === 'points' ? place < keep.points : nowMs - createdAtMs < keep.days * dayMs;
}
