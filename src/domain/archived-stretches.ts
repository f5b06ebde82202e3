/**
 * What the archived oplog is good for, as far as the server has heard: the notion of loss that sets, reports, metrics and news share.
 *
 * A stretch is archived oplog that no break, barrier or cut interrupts. A point enters it when its checkpoint lies in it, and
 * leads to its end from there. Oplog behind the end of the last stretch that a good point enters is stored and of no use yet:
 * what would be lost now counts from there, not from the newest entry that is archived.
 */
import { compareTimes, latest, type ClusterTime } from '../base/cluster-time.ts';
import { justBefore } from './oplog-chain.ts';

/** From a chain's start, the last barrier or the last cut in it, up to its newest entry or what ended it. */
export type ArchivedStretch = { readonly chain: string; readonly from: ClusterTime; readonly through: ClusterTime };

/** A point that nobody has found bad. `isProved`: it was opened at its `top`, so it leads there whatever is known of the oplog. */
export type GoodPoint = { readonly checkpoint: ClusterTime; readonly top: ClusterTime; readonly isProved: boolean };

const mostStretches = 16;

/** What is known after the follower has told of the stretch that grows, oldest first. */
export function afterHearing(known: readonly ArchivedStretch[], heard: ArchivedStretch): ArchivedStretch[] {
  const last = known.at(-1);
  if (last === undefined || last.chain !== heard.chain) return [...known, heard].slice(-mostStretches);
  const order = compareTimes(heard.from, last.from);
  if (order <= 0) return [...known.slice(0, -1), { ...heard, from: last.from }];
  // The chain goes on over a barrier: up to right before it, the stretch in front of it is whole.
  return [...known.slice(0, -1), { ...last, through: latest(last.through, justBefore(heard.from)) }, heard].slice(-mostStretches);
}

export type Restorable = {
  /** The newest moment that a good point leads to. */
  readonly to: ClusterTime | null;
  /** What is archived now is behind the reach of every good point. */
  readonly needsBase: boolean;
};

export function restorableOf(stretches: readonly ArchivedStretch[], points: readonly GoodPoint[]): Restorable {
  const isEntered = ({ from, through }: ArchivedStretch, { checkpoint }: GoodPoint): boolean => compareTimes(from, checkpoint) <= 0 && compareTimes(checkpoint, through) <= 0;
  const ends = points.flatMap((point) => [...stretches.filter((stretch) => isEntered(stretch, point)).map(({ through }) => through), ...(point.isProved ? [point.top] : [])]);
  const to = ends.reduce<ClusterTime | null>((far, next) => (far === null ? next : latest(far, next)), null);
  const last = stretches.at(-1);
  const needsBase = last !== undefined && !points.some(({ checkpoint }) => compareTimes(last.from, checkpoint) <= 0);
  return { to: to === null ? null : { t: to.t, i: to.i }, needsBase };
}
