/**
 * The window of an archive: which moments it can be asked for, computed from what the repository holds and nothing else.
 *
 * A chain is unbroken by construction (repository/oplog-archive.ts refuses a batch that does not follow), so it is one span, or
 * several where retention cut something out of it or a slice is gone. The gaps are these cuts, what lies between one chain's end and the next
 * one's start, and what lies behind a barrier. Each goes on with the first point behind it, because oplog alone is no moment.
 *
 * One damaged object hides nothing else: it is told beside what is whole. What it makes unusable is left out, never
 * guessed: a point without its manifest, a chain without its start, a chain that may have a barrier nobody can read.
 */
import { atOnce } from '../base/at-once.ts';
import { compareTimes, sayTime, timeOf, type ClusterTime } from '../base/cluster-time.ts';
import type { Archive, Barrier, PointManifest } from '../repository/archive.ts';
import { readsAtOnce } from '../repository/points.ts';
import type { PointSummary, Window } from '../contract/values.ts';
import { justBefore } from '../domain/oplog-chain.ts';
import { newestMoment, stretchOf, type WindowFacts } from '../domain/restore-choice.ts';
import { surveyChains, type ChainSpan } from './chain-spans.ts';
import { summarise } from './point-about.ts';
import { chainOfPoint, partings } from './point-chain.ts';

/** Stored bytes of the slices that hold entries of (after, through]. */
export function archivedBytes(slices: readonly { after: ClusterTime; through: ClusterTime; bytes: number; isCut: boolean }[], after: ClusterTime, through: ClusterTime): number {
  const inside = slices.filter((slice) => !slice.isCut && compareTimes(slice.through, after) > 0 && compareTimes(slice.after, through) < 0);
  return inside.reduce((sum, { bytes }) => sum + bytes, 0);
}

export async function windowOf(archive: Archive, nowMs: number): Promise<Window> {
  const [{ spans, damaged, missing }, { points, hurt }] = await Promise.all([surveyChains(archive), archive.survey()]);
  damaged.push(...missing);
  const summaries = await atOnce(readsAtOnce, points, async (point) => {
    const found = await archive.proofs(point.id);
    damaged.push(...found.damaged);
    return summarise(archive.setId, point, found.proofs, await chainOfPoint(archive, point, spans));
  });
  const usable = summaries.filter((point) => point.chain !== null && point.proof?.ok !== false);
  // Each span of a chain that was cut has them all.
  const barriers = [...new Set(spans.flatMap((span) => [...span.barriers]))];
  const facts: WindowFacts = { points: usable.map((point) => ({ ...point, proved: point.proof?.ok ?? null })), spans, barriers };
  const stretches = facts.points.flatMap((point) => {
    const stretch = stretchOf(facts, point);
    return stretch === undefined ? [] : [{ ...stretch, chain: point.chain }];
  });
  const from = stretches.map((stretch) => stretch.from).sort(compareTimes)[0] ?? null;
  const to = newestMoment(facts);
  const newest = spans.at(-1);
  const ownFrom = await partings(archive, spans);
  return {
    from,
    to,
    lossIfDisasterNowSeconds: to === null ? null : Math.max(0, Math.round(nowMs / 1000 - to.t)),
    spans: spans.filter((span) => compareTimes(span.after, span.through) < 0 || span === newest).map(({ chain, after, through }) => ({ chain, after: timeOf(after), through: timeOf(through), ...(ownFrom.has(chain) && { ownFrom: ownFrom.get(chain)! }) })),
    gaps: gapsIn(spans, barriers, stretches),
    barriers,
    points: summaries,
    damaged: [...hurt.map(({ point, object, what }) => ({ object, what, point })), ...damaged.map(({ object, what }) => ({ object, what, point: null }))],
  };
}

/** In order: where one chain ended and the next began, with the reason the next one was started for, and where a barrier ended what a point leads to. */
function gapsIn(spans: readonly ChainSpan[], barriers: readonly Barrier[], begins: readonly { readonly from: ClusterTime; readonly chain: string | null | undefined }[]): Window['gaps'] {
  const firstFrom = (time: ClusterTime, chains?: readonly string[]): ClusterTime | null =>
    begins.filter(({ from, chain }) => compareTimes(from, time) >= 0 && (chains === undefined || chains.includes(chain ?? ''))).map(({ from }) => from).sort(compareTimes)[0] ?? null;
  const breaks = spans.flatMap((span, index) => {
    const before = spans[index - 1];
    if (before === undefined) return [];
    const isAgain = compareTimes(span.after, before.through) < 0;
    const reason = isAgain ? `${span.why}; from ${sayTime(span.after)} on the times up to ${sayTime(before.through)} are there twice, and restore points of before lead along what was then` : span.why;
    return [{ after: timeOf(before.through), resumesAt: firstFrom(span.after, spans.slice(index).map(({ chain }) => chain)), reason }];
  });
  const barred = barriers.filter(({ at }) => begins.some(({ from }) => compareTimes(from, at) < 0) && !begins.some(({ from }) => compareTimes(from, at) === 0));
  const behind = barred.map(({ at, what }) => ({ after: justBefore(at), resumesAt: firstFrom(at), reason: `${what} at ${sayTime(at)} cannot be replayed over` }));
  return [...breaks, ...behind].sort((a, b) => compareTimes(a.after, b.after));
}

export async function summaryOf(archive: Archive, point: PointManifest, spans: readonly ChainSpan[]): Promise<PointSummary> {
  return summarise(archive.setId, point, (await archive.proofs(point.id)).proofs, await chainOfPoint(archive, point, spans));
}

