/** The archived oplog of a set as runs that nothing interrupts, as seen from the names of what is there. */
import { compareTimes, showTime, type ClusterTime } from '../base/cluster-time.ts';
import { holesOf, type Archive, type Barrier, type Damage, type Hole } from '../repository/archive.ts';

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
export const holeWords = 'archived oplog is missing in the repository';

/**
 * The spans of each usable chain, oldest first, and what is damaged. A chain without a slice reaches no further than its start. `missing`: entries that
 * are gone with their slices; what stands behind them is a span of its own.
 */
export async function surveyChains(archive: Archive): Promise<{ spans: ChainSpan[]; damaged: Damage[]; missing: Damage[] }> {
  const { chains, hurt } = await archive.oplog.chains();
  const damaged = hurt.map(({ chain, object, what }) => ({ object, what: `${what}; oplog chain ${chain} cannot be used` }));
  const spans: ChainSpan[] = [];
  const missing: Damage[] = [];
  for (const { id, start, startedAtMs } of chains) {
    const [runs, found] = await Promise.all([archive.oplog.runs(id), archive.oplog.barriers(id)]);
    const unusable = found.isWhole ? '' : `; oplog chain ${id} cannot be used, because nobody knows where this barrier is`;
    damaged.push(...found.damaged.map(({ object, what }) => ({ object, what: `${what}${unusable}` })));
    if (!found.isWhole) continue;
    missing.push(...holesOf(runs, start.after).map((hole) => ({ object: archive.parts.names.slices(id), what: sayHole(hole) })));
    spans.push(...spansIn(runs, { chain: id, startedAtMs, barriers: found.barriers }, start));
  }
  return { spans, damaged, missing };
}

export function sayHole({ after, through }: Hole): string {
  return `entries from ${showTime(after)} to ${showTime(through)} are missing`;
}

function spansIn(runs: Awaited<ReturnType<Archive['oplog']['runs']>>, whole: Pick<ChainSpan, 'chain' | 'startedAtMs' | 'barriers'>, start: Pick<ChainSpan, 'why' | 'after'>): ChainSpan[] {
  const spans: ChainSpan[] = [];
  let span: ChainSpan | undefined = { ...whole, why: start.why, after: start.after, through: start.after };
  const end = (): void => {
    if (span !== undefined && compareTimes(span.after, span.through) < 0) spans.push(span);
    span = undefined;
  };
  for (const [index, run] of runs.entries()) {
    if (index > 0) end();
    for (const { after, through, isCut } of run) {
      if (isCut) end();
      else span = { ...(span ?? { ...whole, why: index > 0 && after === run[0]!.after ? holeWords : cutWords, after }), through };
    }
  }
  // Empty where nothing is archived yet.
  return span === undefined ? spans : [...spans, span];
}

/** The span that carries a point from its checkpoint to `at`; the newest one when several do. Of which chain a point is: agent/point-chain.ts. */
export function chainFor(spans: readonly ChainSpan[], checkpoint: ClusterTime, at: ClusterTime): ChainSpan | undefined {
  return spans.findLast((span) => compareTimes(span.after, checkpoint) <= 0 && compareTimes(at, span.through) <= 0);
}
