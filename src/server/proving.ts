/** Proof of a restore point: what the flows of backup and verify share. */
import { showTime, type ClusterTime } from '../base/cluster-time.ts';
import { describe, isFailure, type Failure } from '../base/failure.ts';
import type { TaskOutput } from '../contract/tasks.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import type { FlowContext } from './flow.ts';
import type { Points, Proof } from './points.ts';

/**
 * Failures that say nothing of the point: the proof was not made, rather than failed. Everything else counts against
 * the point, because a point that cannot be opened is no restore point, whatever the reason.
 */
const saysNothing = /^(base\.(stopped|deadline-passed)|server\.|contract\.|catalog\.|agent\.(mover-died|too-many-tasks|oplog-not-archived-yet|task-|port-in-use|space-missing)|mongo\.(binary-|not-reached|no-|server-)|domain\.)/;

export function countsAgainst(error: unknown): error is Failure {
  return isFailure(error) && !saysNothing.test(error.code);
}

export function proofOf(output: TaskOutput<'prove'>, nowMs: number): Proof {
  const documents = output.collections.reduce((sum, { documents: count }) => sum + count, 0);
  const validated = output.collections.filter((collection) => collection.validated).length;
  const says = `at ${showTime(output.at)}: ${output.collections.length} collections with ${documents} documents counted, ${validated} validated, opened on ${output.mount} in ${output.seconds.toFixed(1)} s`;
  return { level: output.level, atMs: nowMs, ok: true, says };
}

type Proving = { archive: () => Promise<ArchiveAccess>; point: string; level: 'open' | 'full'; at: ClusterTime | null };

/** Opens the point and writes what was found on it, in the repository first and then in the catalog. */
export async function provePoint(proving: Proving, points: Points, context: FlowContext): Promise<TaskOutput<'prove'>> {
  const { archive, point, level, at } = proving;
  const record = async (proof: Proof): Promise<void> => {
    await context.order('point.record-proof', { archive: await archive(), point, proof });
    await points.setProof(point, proof);
  };
  try {
    const output = await context.task('prove', 'prove', async () => ({ archive: await archive(), point, level, at }));
    await context.note('proof recorded', async () => {
      await record(proofOf(output, context.clock.now()));
      return true;
    });
    return output;
  } catch (error) {
    if (countsAgainst(error)) await record({ level, atMs: context.clock.now(), ok: false, says: describe(error) });
    throw error;
  }
}
