/** Proof of a restore point: what the flows of backup and verify share. */
import { showTime, type ClusterTime } from '../base/cluster-time.ts';
import { describe, isFailure, type Failure } from '../base/failure.ts';
import type { TaskOutput } from '../contract/tasks.ts';
import type { ArchiveReach } from './archive-task.ts';
import type { Archives } from './archives.ts';
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

type Proving = { at: ArchiveReach; point: string; level: 'open' | 'full'; moment: ClusterTime | null };

/** Opens the point and writes what was found on it, in the repository first and then in the catalog. */
export async function provePoint(proving: Proving, archives: Archives, points: Points, context: FlowContext): Promise<TaskOutput<'prove'>> {
  const { at, point, level, moment } = proving;
  const { host } = await archives.find(at.repository);
  const record = async (proof: Proof): Promise<void> => {
    await context.order(host, 'point.record-proof', { archive: await archives.access(at.repository, at.setId), point, proof });
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
    if (countsAgainst(error)) await record({ level, atMs: context.clock.now(), ok: false, says: describe(error) });
    throw error;
  }
}
