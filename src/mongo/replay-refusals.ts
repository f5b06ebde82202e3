/**
 * Everything that forbids a replay, looked at before anything is started.
 *
 * mongod itself would refuse none of these: past the archive's end it stops early, before the copy's checkpoint it stays
 * at the checkpoint, over a hole it goes on, and each time it reports success (docs/design/native-replay.md).
 */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { justBefore, reach, type OplogSpan } from '../domain/oplog-chain.ts';
import { versionOfBinary } from './binary.ts';
import { binaryMissing } from './failures.ts';
import {
  replayBarrier,
  replayBeforeCheckpoint,
  replayBeyondArchive,
  replayForeignArchive,
  replayGap,
  replayNotCovered,
  replayVersion,
} from './replay-failures.ts';

export type ReachQuestion = {
  /** What the copied files are from. */
  readonly checkpoint: ClusterTime;
  readonly target: ClusterTime;
  /** The chain to replay: one unbroken stretch, or nothing. */
  readonly span: OplogSpan | null;
  /** Other stretches that are held. What lies between them and `span` is missing, and they only make the answer clearer. */
  readonly gaps?: readonly OplogSpan[];
  readonly barriers: readonly { readonly at: ClusterTime; readonly what: string }[];
  /** Ids of the replica sets that the copy and the archive are of. */
  readonly copySet?: string;
  readonly archiveSet?: string;
};

/** Refuses a target that the copy cannot be brought to. Each refusal names the last moment that it can. */
export function checkReach(question: ReachQuestion): void {
  const { checkpoint, target, span, copySet, archiveSet } = question;
  if (copySet !== undefined && archiveSet !== undefined && copySet !== archiveSet)
    throw replayForeignArchive({ copySet, archiveSet });
  if (span === null || compareTimes(span.after, checkpoint) > 0)
    throw replayNotCovered({ checkpoint, from: span === null ? null : span.after, lastSafe: null });
  if (compareTimes(target, checkpoint) < 0) throw replayBeforeCheckpoint({ target, checkpoint, lastSafe: null });
  const barrier = question.barriers
    .filter(({ at }) => compareTimes(at, checkpoint) > 0 && compareTimes(at, target) <= 0)
    .sort((a, b) => compareTimes(a.at, b.at))[0];
  if (barrier !== undefined)
    throw replayBarrier({ at: barrier.at, what: barrier.what, lastSafe: justBefore(barrier.at) });
  const answer = reach(checkpoint, [span], target);
  if (answer.kind === 'reachable') return;
  const lastSafe = compareTimes(span.through, checkpoint) < 0 ? null : span.through;
  const resumesAt = (question.gaps ?? [])
    .map(({ after }) => after)
    .filter((after) => compareTimes(after, span.through) > 0)
    .sort(compareTimes)[0];
  if (resumesAt === undefined || compareTimes(resumesAt, target) > 0)
    throw replayBeyondArchive({ target, through: span.through, lastSafe });
  throw replayGap({ target, after: span.through, resumesAt, lastSafe });
}

/** Only a mongod of the same major version may open the files and replay on them. */
export async function requireSameMajor(binary: string, copyVersion: string): Promise<string> {
  const binaryVersion = await versionOfBinary(binary);
  const major = (version: string): string => version.split('.').slice(0, 2).join('.');
  if (binaryVersion === undefined) throw binaryMissing({ version: major(copyVersion), tried: [binary], refused: [] });
  if (major(binaryVersion) !== major(copyVersion)) throw replayVersion({ binary, binaryVersion, copyVersion });
  return binaryVersion;
}
