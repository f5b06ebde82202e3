/**
 * The chain whose history a restore point is of, from what the repository holds (docs/design/oplog-continuity.md, "Two histories").
 *
 * Where several chains hold its checkpoint, the one is taken that has the point's own newest entry: the same time and term are the same
 * history up to there. Only then a block is read. One that has
 * another entry there, or none, is another history; the chain that grows may not have come as far yet.
 */
import { compareTimes, sameTime, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { justBefore } from '../domain/oplog-chain.ts';
import { likelyFirst } from '../domain/point-chain.ts';
import type { Archive, PointManifest } from '../repository/archive.ts';
import { chainFor, type ChainSpan } from './chain-spans.ts';

type Placed = Pick<PointManifest, 'checkpoint' | 'top' | 'createdAtMs'>;

/** Null where no chain holds its checkpoint. */
export async function chainOfPoint(archive: Pick<Archive, 'oplog'>, point: Placed, spans: readonly ChainSpan[]): Promise<string | null> {
  const holding = likelyFirst(spans.filter((span) => holds(span, point.checkpoint, point.checkpoint)), point);
  if (new Set(holding.map(({ chain }) => chain)).size <= 1) return holding.at(-1)?.chain ?? null;
  const open: ChainSpan[] = [];
  for (const span of holding) {
    const found = holds(span, point.checkpoint, point.top) ? await hasEntry(archive, span, point.top) : null;
    if (found === true) return span.chain;
    if (found === null) open.push(span);
  }
  const grows = spans.at(-1)!.chain;
  return (open.find((span) => holds(span, point.checkpoint, point.top)) ?? open.find(({ chain }) => chain === grows) ?? open[0] ?? holding[0]!).chain;
}

/** The span of the point's own history that carries it to `at`. */
export async function spanOfPoint(archive: Pick<Archive, 'oplog'>, point: Placed, spans: readonly ChainSpan[], at: ClusterTime): Promise<ChainSpan | undefined> {
  const chain = await chainOfPoint(archive, point, spans);
  return chainFor(spans.filter((span) => span.chain === chain), point.checkpoint, at);
}

function holds(span: ChainSpan, checkpoint: ClusterTime, at: ClusterTime): boolean {
  return chainFor([span], checkpoint, at) !== undefined;
}

/** Null where it cannot be seen. */
async function hasEntry({ oplog }: Pick<Archive, 'oplog'>, { chain, after }: ChainSpan, top: PointManifest['top']): Promise<boolean | null> {
  if (compareTimes(top, after) <= 0) return sameTime(top, after) && after.term !== undefined ? after.term === top.term : null;
  try {
    for await (const { last } of oplog.read(chain, justBefore(top), top)) if (sameTime(last, top)) return last.term === top.term;
    return false;
  } catch (error) {
    if (isFailure(error)) return null;
    throw error;
  }
}
