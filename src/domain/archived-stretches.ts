/**
 * What the archived oplog is good for, as far as the server has heard: the notion of loss that sets, reports, metrics and news share.
 *
 * A stretch is archived oplog that no break, barrier or cut interrupts. A point enters it when its checkpoint lies in it, and
 * leads to its end from there. Oplog behind the end of the last stretch that a good point enters is stored and of no use yet:
 * what would be lost now counts from there, not from the newest entry that is archived.
 */
import { compareTimes, latest, type ClusterTime } from '../base/cluster-time.ts';
import { justBefore } from './oplog-chain.ts';
import { isOfChain, type OfChain } from './point-chain.ts';

/** From a chain's start, the last barrier or the last cut in it, up to its newest entry or what ended it. */
export type ArchivedStretch = { readonly chain: string; readonly from: ClusterTime; readonly through: ClusterTime };

/** A point that nobody has found bad. `isProved`: it was opened at its `top`, so it leads there whatever is known of the oplog. */
export type GoodPoint = OfChain & { readonly checkpoint: ClusterTime; readonly top: ClusterTime; readonly isProved: boolean };

const mostStretches = 16;
export const mostBarriersTold = 16;

/** Archived oplog of (after, through] that retention removed. */
export type OplogCut = Pick<ArchivedStretch, 'chain' | 'through'> & { readonly after: ClusterTime };

/** The stretch that grows, as the follower tells of it. `isBehindBarrier`: up to right before it the chain is whole. */
export type HeardStretch = ArchivedStretch & { readonly isBehindBarrier: boolean; /** The newest of the chain, in order; services of before tell none. */ readonly barriers: readonly ClusterTime[]; /** Of this chain. */ readonly cuts: readonly OplogCut[] };

/** What is known after the follower has told of the stretch that grows, oldest first. */
export function afterHearing(before: readonly ArchivedStretch[], { isBehindBarrier, barriers, cuts, ...heard }: HeardStretch): ArchivedStretch[] {
  const known = afterCuts(before, cuts);
  const last = known.at(-1);
  if (last === undefined || last.chain !== heard.chain) return [...known, heard].slice(-mostStretches);
  const order = compareTimes(heard.from, last.from);
  if (order <= 0) return [...known.slice(0, -1), { ...heard, from: last.from }];
  // What is not known to be a barrier may be a cut, and then nobody knows up to where the stretch in front of it is whole.
  const between = isBehindBarrier ? upToBarriers(last, heard.from, barriers) : [last];
  // Nobody may have been told of a cut between the two.
  return afterCuts([...known.slice(0, -1), ...between, heard], cuts);
}

/** A stretch that led up to a barrier, and those between it and the newest one, of which nobody was told one by one. */
function upToBarriers(last: ArchivedStretch, newest: ClusterTime, told: readonly ClusterTime[]): ArchivedStretch[] {
  if (told.length === 0) return [{ ...last, through: latest(last.through, justBefore(newest)) }];
  const passed = told.filter((at) => compareTimes(at, last.from) > 0 && compareTimes(at, newest) <= 0);
  // Where the first of them may not have been told, it is whole only as far as it was heard of.
  const isEachTold = passed.length < told.length || told.length < mostBarriersTold;
  const upTo = (from: ClusterTime, barrier: ClusterTime): ArchivedStretch => ({ chain: last.chain, from, through: justBefore(barrier) });
  return [isEachTold ? upTo(last.from, passed[0] ?? newest) : last, ...passed.slice(1).map((barrier, at) => upTo(passed[at]!, barrier))];
}

/** What leads into a cut ends where it starts, and what is behind it is another stretch. */
export function afterCuts(known: readonly ArchivedStretch[], cuts: readonly OplogCut[]): ArchivedStretch[] {
  return cuts.reduce<readonly ArchivedStretch[]>((stretches, cut) => stretches.flatMap((stretch) => around(stretch, cut)), known).slice(-mostStretches);
}

function around(stretch: ArchivedStretch, { chain, after, through }: OplogCut): ArchivedStretch[] {
  if (stretch.chain !== chain || compareTimes(through, stretch.from) <= 0 || compareTimes(after, stretch.through) >= 0) return [stretch];
  const inFront = compareTimes(stretch.from, after) < 0 ? [{ ...stretch, through: { t: after.t, i: after.i } }] : [];
  const behind = compareTimes(through, stretch.through) < 0 ? [{ ...stretch, from: { t: through.t, i: through.i } }] : [];
  return [...inFront, ...behind];
}

export type Restorable = {
  /** The newest moment that a good point leads to. */
  readonly to: ClusterTime | null;
  /** What is archived now is behind the reach of every good point. */
  readonly needsBase: boolean;
};

export function restorableOf(stretches: readonly ArchivedStretch[], points: readonly GoodPoint[]): Restorable {
  const isEntered = ({ chain, from, through }: ArchivedStretch, point: GoodPoint): boolean => isOfChain(point, chain) && compareTimes(from, point.checkpoint) <= 0 && compareTimes(point.checkpoint, through) <= 0;
  const entered = stretches.filter((stretch) => points.some((point) => isEntered(stretch, point)));
  // Of two histories the newer one counts, though the times of the older one may go on longer.
  const older = new Set(entered.map(({ chain }) => chain).filter((chain) => chain !== entered.at(-1)?.chain));
  const ends = [...entered.filter(({ chain }) => !older.has(chain)).map(({ through }) => through), ...points.filter(({ isProved, chain }) => isProved && !older.has(chain ?? '')).map(({ top }) => top)];
  const to = ends.reduce<ClusterTime | null>((far, next) => (far === null ? next : latest(far, next)), null);
  const last = stretches.at(-1);
  const needsBase = last !== undefined && !points.some((point) => isOfChain(point, last.chain) && compareTimes(last.from, point.checkpoint) <= 0);
  return { to: to === null ? null : { t: to.t, i: to.i }, needsBase };
}
