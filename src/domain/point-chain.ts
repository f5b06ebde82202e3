/**
 * Which archived chain a restore point is of. A set that was put back to older files writes the same times again, so two chains may hold
 * a point's time, and only one of them its history.
 *
 * The agent that looks into the repository decides it (agent/point-chain.ts) and says it with the point; everybody else goes by that.
 */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import type { OplogSpan } from './oplog-chain.ts';

/** `chain`: null where nobody knows; absent where nobody was asked. */
export type OfChain = { readonly chain?: string | null | undefined };

/** Whether a point may be brought forward along this chain. */
export function isOfChain({ chain }: OfChain, which: string): boolean {
  return chain === null || chain === undefined || chain === which;
}

/**
 * The likely ones first: of the spans that were begun before the point was made the newest; then the first that was begun after. A set goes back to older
 * files after the point was made, so what was begun later may be another history.
 */
export function likelyFirst<S extends OplogSpan & { readonly startedAtMs: number }>(spans: readonly S[], { createdAtMs }: { readonly createdAtMs: number }): S[] {
  const inOrder = [...spans].sort((a, b) => a.startedAtMs - b.startedAtMs || compareTimes(a.after, b.after));
  const isLater = ({ startedAtMs }: S): boolean => startedAtMs > createdAtMs;
  return [...inOrder.filter((span) => !isLater(span)).reverse(), ...inOrder.filter(isLater)];
}

/** Whether several chains hold a point's own times: which of them is its history is then not to be seen from times. */
export function isHeldTwice(spans: readonly (OplogSpan & { readonly chain: string })[], { checkpoint, top }: { readonly checkpoint: ClusterTime; readonly top: ClusterTime }): boolean {
  return new Set(spans.filter(({ after, through }) => compareTimes(after, checkpoint) <= 0 && compareTimes(top, through) <= 0).map(({ chain }) => chain)).size > 1;
}
