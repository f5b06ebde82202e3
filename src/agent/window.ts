/**
 * The window of an archive: which moments it can be asked for, computed from what the repository holds and nothing else.
 *
 * A chain is unbroken by construction (repository/oplog-archive.ts refuses a batch that does not follow), so it is one span, or
 * several where retention cut something out of it. The gaps are these cuts, what lies between one chain's end and the next
 * one's start, and what lies behind a barrier. Each goes on with the first point behind it, because oplog alone is no moment.
 *
 * One damaged object hides nothing else: it is told beside what is whole. What it makes unusable is left out, never
 * guessed: a point without its manifest, a chain without its start, a chain that may have a barrier nobody can read.
 */
import { type ClusterTime, compareTimes, sayTime } from '../base/cluster-time.ts';
import type { Archive, Barrier, Damage, PointManifest } from '../repository/archive.ts';
import type { PointSummary, Window } from '../contract/values.ts';
import { justBefore } from '../domain/oplog-chain.ts';
import { stretchOf, type WindowFacts } from '../domain/restore-choice.ts';
import { summarise } from './point-about.ts';

export type ChainSpan = {
  readonly chain: string;
  readonly why: string;
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
  for (const { id, start } of chains) {
    const [slices, found] = await Promise.all([archive.oplog.slices(id), archive.oplog.barriers(id)]);
    const unusable = found.isWhole ? '' : `; oplog chain ${id} cannot be used, because nobody knows where this barrier is`;
    damaged.push(...found.damaged.map(({ object, what }) => ({ object, what: `${what}${unusable}` })));
    if (!found.isWhole) continue;
    const whole = { chain: id, barriers: found.barriers };
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

/** The chain that carries a point from its checkpoint to `at`; the newest one when several do. */
export function chainFor(spans: readonly ChainSpan[], checkpoint: ClusterTime, at: ClusterTime): ChainSpan | undefined {
  return spans.findLast((span) => compareTimes(span.after, checkpoint) <= 0 && compareTimes(at, span.through) <= 0);
}

/** Stored bytes of the slices that hold entries of (after, through]. */
export function archivedBytes(slices: readonly { after: ClusterTime; through: ClusterTime; bytes: number; isCut: boolean }[], after: ClusterTime, through: ClusterTime): number {
  const inside = slices.filter((slice) => !slice.isCut && compareTimes(slice.through, after) > 0 && compareTimes(slice.after, through) < 0);
  return inside.reduce((sum, { bytes }) => sum + bytes, 0);
}

export async function windowOf(archive: Archive, nowMs: number): Promise<Window> {
  const [{ spans, damaged }, { points, hurt }] = await Promise.all([surveyChains(archive), archive.survey()]);
  const summaries: PointSummary[] = [];
  for (const point of points) {
    const found = await archive.proofs(point.id);
    damaged.push(...found.damaged);
    summaries.push(summarise(archive.setId, point, found.proofs, chainOf(point, spans)));
  }
  const usable = summaries.filter((point) => point.chain !== null && point.proof?.ok !== false);
  // Each span of a chain that was cut has them all.
  const barriers = [...new Set(spans.flatMap((span) => [...span.barriers]))];
  const facts: WindowFacts = { points: usable.map((point) => ({ ...point, proved: point.proof?.ok ?? null })), spans, barriers };
  const stretches = facts.points.flatMap((point) => stretchOf(facts, point) ?? []);
  const from = stretches.map((stretch) => stretch.from).sort(compareTimes)[0] ?? null;
  const to = stretches.map((stretch) => stretch.to).sort(compareTimes).at(-1) ?? null;
  const newest = spans.at(-1);
  return {
    from,
    to,
    lossIfDisasterNowSeconds: to === null ? null : Math.max(0, Math.round(nowMs / 1000 - to.t)),
    spans: spans.filter((span) => compareTimes(span.after, span.through) < 0 || span === newest).map(({ chain, after, through }) => ({ chain, after: timeOf(after), through: timeOf(through) })),
    gaps: gapsIn(spans, barriers, stretches.map((stretch) => stretch.from)),
    barriers,
    points: summaries,
    damaged: [...hurt.map(({ point, object, what }) => ({ object, what, point })), ...damaged.map(({ object, what }) => ({ object, what, point: null }))],
  };
}

/** In order: where one chain ended and the next began, with the reason the next one was started for, and where a barrier ended what a point leads to. */
function gapsIn(spans: readonly ChainSpan[], barriers: readonly Barrier[], begins: readonly ClusterTime[]): Window['gaps'] {
  const firstFrom = (time: ClusterTime): ClusterTime | null => begins.filter((begin) => compareTimes(begin, time) >= 0).sort(compareTimes)[0] ?? null;
  const breaks = spans.flatMap((span, index) => {
    const before = spans[index - 1];
    return before === undefined ? [] : [{ after: timeOf(before.through), resumesAt: firstFrom(span.after), reason: span.why }];
  });
  const barred = barriers.filter(({ at }) => begins.some((begin) => compareTimes(begin, at) < 0) && !begins.some((begin) => compareTimes(begin, at) === 0));
  const behind = barred.map(({ at, what }) => ({ after: justBefore(at), resumesAt: firstFrom(at), reason: `${what} at ${sayTime(at)} cannot be replayed over` }));
  return [...breaks, ...behind].sort((a, b) => compareTimes(a.after, b.after));
}

export async function summaryOf(archive: Archive, point: PointManifest, spans: readonly ChainSpan[]): Promise<PointSummary> {
  return summarise(archive.setId, point, (await archive.proofs(point.id)).proofs, chainOf(point, spans));
}

function chainOf({ checkpoint }: PointManifest, spans: readonly ChainSpan[]): string | null {
  return chainFor(spans, checkpoint, checkpoint)?.chain ?? null;
}

function timeOf({ t, i }: ClusterTime): ClusterTime {
  return { t, i };
}
