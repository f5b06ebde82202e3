/**
 * The chain whose history a restore point is of, from what the repository holds (docs/design/oplog-continuity.md, "Two histories").
 *
 * Where several chains hold its checkpoint, the one is taken that has the point's own newest entry: the same time and term are the same
 * history up to there. Only then a block is read. One that has
 * another entry there, or none, is another history; the chain that grows may not have come as far yet.
 */
import { compareTimes, latest, sameTime, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { justBefore } from '../domain/oplog-chain.ts';
import { likelyFirst } from '../domain/point-chain.ts';
import { entriesOf } from '../mongo/oplog-entry.ts';
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

/**
 * Of each chain that begins before the end of the one in front of it: its first entry that the other one has not. Up to there the set lived the other
 * history, whatever times the chain spans. Where it cannot be seen, that is the end of the other one: clocks go on, too, when a set is put back.
 */
export async function partings(archive: Pick<Archive, 'oplog'>, spans: readonly ChainSpan[]): Promise<Map<string, ClusterTime>> {
  const found = new Map<string, ClusterTime>();
  for (const [index, newer] of spans.entries()) {
    const older = spans[index - 1];
    if (older === undefined || older.chain === newer.chain || compareTimes(newer.after, older.through) >= 0) continue;
    found.set(newer.chain, (await firstOwn(archive, older, newer)) ?? { t: older.through.t, i: older.through.i });
  }
  return found;
}

async function firstOwn({ oplog }: Pick<Archive, 'oplog'>, older: ChainSpan, newer: ChainSpan): Promise<ClusterTime | null> {
  try {
    await using theirs = entryTimes(oplog.read(older.chain, latest(older.after, newer.after), older.through));
    let other = await theirs.next();
    for await (const at of entryTimes(oplog.read(newer.chain, newer.after, newer.through))) {
      while (other.done !== true && compareTimes(other.value, at) < 0) other = await theirs.next();
      const isShared = compareTimes(at, older.after) <= 0 || (other.done !== true && sameTime(other.value, at) && other.value.term === at.term);
      if (!isShared) return { t: at.t, i: at.i };
    }
    return null;
  } catch (error) {
    if (isFailure(error)) return null;
    throw error;
  }
}

async function* entryTimes(batches: ReturnType<Archive['oplog']['read']>): AsyncGenerator<Optime> {
  for await (const { bytes } of batches) for (const { at } of entriesOf(bytes)) yield at;
}
