/** Proof of a restore point: what the flows of backup and verify share. */
import { sameTime, showTime, type ClusterTime } from '../base/cluster-time.ts';
import { describe, isFailure, type Failure } from '../base/failure.ts';
import type { TaskOutput } from '../contract/tasks.ts';
import type { ArchiveReach } from './archive-task.ts';
import type { Archives } from './archives.ts';
import type { FlowContext } from './flow.ts';
import type { Points, Proof } from './points.ts';

/**
 * Failures that say nothing of the point: the proof was not made, rather than failed, or it is the archived oplog that is
 * damaged, which the next point does not need. Everything else counts against the point, because a point that cannot be
 * opened is no restore point, whatever the reason.
 */
const saysNothing = new RegExp(
  `^(${[
    'base\\.(stopped|deadline-passed)',
    '(server|contract|catalog|domain)\\.',
    'agent\\.(mover-died|too-many-tasks|oplog-not-archived-yet|task-|port-in-use|space-missing|repository-full)',
    'mount\\.(refused|no-|silent)',
    'mongo\\.(binary-|not-reached|no-|server-|file-system-full|oplog-|replay-(archive-broken|beyond-archive|gap|not-covered|barrier|before-checkpoint|entry-too-large|version))',
    'repository\\.(oplog-|chain-|storage-full|bucket-|share-)',
  ].join('|')})`,
);

/** `elsewhere`: the proof was to be made at another moment than the point's own, and may have failed for what lies between. */
export function countsAgainst(error: unknown, { elsewhere }: { elsewhere: boolean }): error is Failure {
  return isFailure(error) && !elsewhere && !saysNothing.test(error.code);
}

export function proofOf(output: TaskOutput<'prove'>, nowMs: number): Proof {
  const counted = output.collections.filter((collection) => collection.counted);
  const documents = counted.reduce((sum, { documents: count }) => sum + count, 0);
  const unseen = output.collections.length - counted.length;
  const validated = output.collections.filter((collection) => collection.validated).length;
  const says = `at ${showTime(output.at)}: ${output.collections.length} collections, ${counted.length} of them counted (${documents} documents)${unseen === 0 ? '' : `, ${unseen} by metadata only`}, ${validated} validated, opened on ${output.mount} in ${output.seconds.toFixed(1)} s`;
  return { level: output.level, atMs: nowMs, ok: true, says };
}

type Proving = { at: ArchiveReach; point: string; level: 'open' | 'full'; moment: ClusterTime | null };

async function isElsewhere({ point, moment }: Proving, points: Points): Promise<boolean> {
  return moment !== null && !sameTime(moment, points.summary(await points.find(point)).top);
}

/**
 * Opens the point and writes what was found on it, in the repository first and then in the catalog. A success at whatever
 * moment speaks for the point; a failure at another moment than its own is the session's alone.
 */
export async function provePoint(proving: Proving, archives: Archives, points: Points, context: FlowContext): Promise<TaskOutput<'prove'>> {
  const { at, point, level, moment } = proving;
  const { host, is_attached } = await archives.find(at.repository);
  const record = async (proof: Proof): Promise<void> => {
    if (is_attached === 0) await context.order(host, 'point.record-proof', { archive: await archives.access(at.repository, at.setId), point, proof });
    await points.setProof(point, proof);
  };
  try {
    const output = await context.task('prove', 'prove', at, async () => Promise.resolve({ point, level, at: moment }));
    await context.note('proof recorded', async () => {
      await record(proofOf(output, context.clock.now()));
      return true;
    });
    return output;
  } catch (error) {
    if (countsAgainst(error, { elsewhere: await isElsewhere(proving, points) })) await record({ level, atMs: context.clock.now(), ok: false, says: describe(error) });
    throw error;
  }
}
