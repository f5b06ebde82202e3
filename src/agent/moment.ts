/** A moment of an archive, with everything that leads to it, checked before anything is started. */
import { type ClusterTime, sayTimeInFull } from '../base/cluster-time.ts';
import { findBinary } from '../mongo/binary.ts';
import type { OplogBatch } from '../mongo/oplog-batch.ts';
import { checkReach } from '../mongo/replay-refusals.ts';
import type { Archive, ArchiveReader, PointManifest } from '../repository/archive.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import { openArchiveAt } from './archive-access.ts';
import { chunksMissing } from './failures.ts';
import { aboutOf, type PointAbout } from './point-about.ts';
import type { TaskContext } from './task-context.ts';
import { surveyChains, type ChainSpan } from './chain-spans.ts';
import { spanOfPoint } from './point-chain.ts';

export type Moment = {
  readonly access: ArchiveAccess;
  readonly archive: Archive;
  readonly point: PointManifest;
  readonly about: PointAbout;
  readonly at: ClusterTime;
  /** The chain that leads there. */
  readonly span: ChainSpan;
  /** A mongod of the same major version. */
  readonly binary: string;
  /** The archived entries of (after, through]. */
  oplog(after: ClusterTime, through: ClusterTime): AsyncIterable<OplogBatch>;
};

/** `at` null means the point's own time: the newest entry of the copied oplog. */
export async function openMoment(access: ArchiveAccess, pointId: string, at: ClusterTime | null, context: Pick<TaskContext, 'identityFile' | 'signal' | 'pace'>): Promise<Moment> {
  const archive = await openArchiveAt(access, context, 'task');
  const point = await archive.point(pointId);
  const about = aboutOf(point);
  const target = at ?? { t: point.top.t, i: point.top.i };
  const { spans } = await surveyChains(archive);
  const span = await spanOfPoint(archive, point, spans, target);
  const holding = span ?? (await spanOfPoint(archive, point, spans, point.checkpoint));
  checkReach({
    checkpoint: point.checkpoint,
    target,
    span: holding === undefined ? null : { after: holding.after, through: holding.through },
    gaps: spans.filter((other) => other !== holding).map(({ after, through }) => ({ after, through })),
    barriers: holding?.barriers ?? [],
  });
  const binary = await findBinary(about.mongoVersion, [about.binary]);
  const held = holding!;
  return { access, archive, point, about, at: target, span: held, binary, oplog: (after, through) => archive.oplog.read(held.chain, after, through) };
}

/** Refuses a point that lacks chunks, before files of it are served or laid down. */
export async function requireChunks(reader: ArchiveReader, point: PointManifest): Promise<void> {
  const missing = await reader.missingChunks(point);
  if (missing.length > 0) throw chunksMissing({ point: point.id, count: missing.length });
}

export function sayMoment(moment: Moment): string {
  return `restore point ${moment.point.id} brought to ${sayTimeInFull(moment.at)}`;
}
