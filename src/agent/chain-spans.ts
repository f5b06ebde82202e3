/** The archived oplog of a set as runs that nothing interrupts, as seen from the names of what is there. */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import type { Archive, Barrier, Damage } from '../repository/archive.ts';

export type ChainSpan = {
  readonly chain: string;
  readonly why: string;
  readonly startedAtMs: number;
  /** With its term where the chain begins. */
  readonly after: ClusterTime & { readonly term?: number };
  readonly through: ClusterTime;
  readonly barriers: readonly Barrier[];
};

const cutWords = 'the retention of the oplog removed it';

/** The spans of each usable chain, oldest first, and what is damaged. A chain without a slice reaches no further than its start. */
export async function surveyChains(archive: Archive): Promise<{ spans: ChainSpan[]; damaged: Damage[] }> {
  const { chains, hurt } = await archive.oplog.chains();
  const damaged = hurt.map(({ chain, object, what }) => ({ object, what: `${what}; oplog chain ${chain} cannot be used` }));
  const spans: ChainSpan[] = [];
  for (const { id, start, startedAtMs } of chains) {
    const [slices, found] = await Promise.all([archive.oplog.slices(id), archive.oplog.barriers(id)]);
    const unusable = found.isWhole ? '' : `; oplog chain ${id} cannot be used, because nobody knows where this barrier is`;
    damaged.push(...found.damaged.map(({ object, what }) => ({ object, what: `${what}${unusable}` })));
    if (!found.isWhole) continue;
    const whole = { chain: id, startedAtMs, barriers: found.barriers };
    let span: ChainSpan | undefined = { ...whole, why: start.why, after: start.after, through: start.after };
    for (const { after, through, isCut } of slices) {
      if (!isCut) span = { ...(span ?? { ...whole, why: cutWords, after }), through };
      else if (span !== undefined) {
        if (compareTimes(span.after, span.through) < 0) spans.push(span);
        span = undefined;
      }
    }
    if (span !== undefined) spans.push(span);
  }
  return { spans, damaged };
}

/** The span that carries a point from its checkpoint to `at`; the newest one when several do. Of which chain a point is: agent/point-chain.ts. */
export function chainFor(spans: readonly ChainSpan[], checkpoint: ClusterTime, at: ClusterTime): ChainSpan | undefined {
  return spans.findLast((span) => compareTimes(span.after, checkpoint) <= 0 && compareTimes(at, span.through) <= 0);
}
