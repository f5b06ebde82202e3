/** Proof of a restore point: what the flows of backup and verify share. */
import { type ClusterTime, sameTime, sayTime } from '../base/cluster-time.ts';
import { describe, isFailure, type Failure } from '../base/failure.ts';
import type { OwnCheck } from '../contract/checks.ts';
import type { TaskOutput } from '../contract/tasks.ts';
import { isHeldTwice } from '../domain/point-chain.ts';
import type { ArchiveReach } from './archive-task.ts';
import type { Archives } from './archives.ts';
import type { FlowContext } from './flow.ts';
import type { Points, Proof } from './points.ts';
import { sayFailed, verificationFailed } from './verification-failures.ts';

const oneOf = (codes: readonly string[]): RegExp => new RegExp(`^(${codes.join('|')})`);

/** What is wrong with the archived oplog. The next point does not need it; moments behind this one do. */
const ofOplog = oneOf(['mongo\\.(oplog-|replay-(archive-broken|beyond-archive|gap|not-covered|barrier|before-checkpoint|entry-too-large))', 'repository\\.(oplog-|chain-)']);

/**
 * Failures that say nothing of the point: the proof was not made, rather than failed. Everything else counts against the point,
 * because a point that cannot be opened is no restore point, whatever the reason.
 */
const saysNothing = oneOf([
  'base\\.(stopped|deadline-passed)',
  '(server|contract|catalog|domain)\\.',
  'agent\\.(mover-died|too-many-tasks|oplog-not-archived-yet|task-|port-in-use|space-missing|repository-full)',
  'mount\\.(refused|no-|silent|process-ended|unwritable)',
  'mongo\\.(binary-|not-reached|no-|server-|file-system-full|replay-version)',
  'mover\\.',
  'repository\\.(storage-full|bucket-|share-|list-|warden-)',
]);

/** `elsewhere`: the proof was to be made at another moment than the point's own, and may have failed for what lies between. */
export function countsAgainst(error: unknown, { elsewhere }: { elsewhere: boolean }): error is Failure {
  return isFailure(error) && !elsewhere && !saysNothing.test(error.code) && !ofOplog.test(error.code);
}

/** Whether a moment was shown to be bad: by mongod, by the archive, or by an own check. */
export function condemnsMoment(error: unknown): error is Failure {
  return isFailure(error, verificationFailed) || (isFailure(error) && (ofOplog.test(error.code) || !saysNothing.test(error.code)));
}

export function proofOf(output: TaskOutput<'prove'>, nowMs: number): Proof {
  const counted = output.collections.filter((collection) => collection.counted);
  const documents = counted.reduce((sum, { documents: count }) => sum + count, 0);
  const unseen = output.collections.length - counted.length;
  const validated = output.collections.filter((collection) => collection.validated).length;
  const { checks = [] } = output;
  const ok = checks.every((check) => check.ok);
  const asked = checks.length === 0 ? '' : `, ${ok ? `${checks.length} own checks hold` : sayFailed(checks)}`;
  const says = `at ${sayTime(output.at)}: ${output.collections.length} collections, ${counted.length} of them counted (${documents} documents)${unseen === 0 ? '' : `, ${unseen} by metadata only`}, ${validated} validated${asked}, opened on ${output.mount} in ${output.seconds.toFixed(1)} s`;
  return { level: output.level, atMs: nowMs, ok, says, ...(checks.length > 0 && { checks }) };
}

export type Proving = { readonly at: ArchiveReach; readonly point: string; readonly level: 'open' | 'full'; readonly moment: ClusterTime | null; readonly checks?: readonly OwnCheck[]; /** Unique in the session. */ readonly name?: string };

export async function isElsewhere({ point, moment }: Proving, points: Points): Promise<boolean> {
  return moment !== null && !sameTime(moment, points.summary(await points.find(point)).top);
}

/** Keeps what was found on the point: in the repository first, and then in the catalog. */
export async function recordProof({ repository, setId }: Pick<ArchiveReach, 'repository' | 'setId'>, point: string, proof: Proof, archives: Archives, points: Points, context: FlowContext): Promise<void> {
  const { host, is_attached } = await archives.find(repository);
  if (is_attached === 0) await context.order(host, 'point.record-proof', { archive: await archives.access(repository, setId), point, proof });
  await points.setProof(point, proof);
}

/** Whether it was only shown that a point is not of the chain it was brought along, while another chain holds its times, too. */
async function mayBeOther(error: Failure, { at, point }: Proving, archives: Archives, points: Points, context: FlowContext): Promise<boolean> {
  if (error.code !== 'mongo.replay-history-differs') return false;
  const { host } = await archives.find(at.repository);
  const { spans } = await context.order(host, 'archive.window', { archive: await archives.access(at.repository, at.setId) });
  return isHeldTwice(spans, points.summary(await points.find(point)));
}

/**
 * Opens the point and writes what was found on it. A success at whatever moment speaks for the point; a failure at another
 * moment than its own is the session's alone.
 */
export async function provePoint(proving: Proving, archives: Archives, points: Points, context: FlowContext): Promise<TaskOutput<'prove'>> {
  const { at, point, level, moment, checks = [], name = 'prove' } = proving;
  const record = async (proof: Proof): Promise<void> => await recordProof(at, point, proof, archives, points, context);
  let output: TaskOutput<'prove'>;
  try {
    output = await context.task(name, 'prove', at, async () => Promise.resolve({ point, level, at: moment, checks: [...checks] }));
  } catch (error) {
    if (countsAgainst(error, { elsewhere: await isElsewhere(proving, points) }) && !(await mayBeOther(error, proving, archives, points, context))) await record({ level, atMs: context.clock.now(), ok: false, says: describe(error) });
    throw error;
  }
  const proof = proofOf(output, context.clock.now());
  if (proof.ok || !(await isElsewhere(proving, points))) {
    await context.note(name === 'prove' ? 'proof recorded' : `${name}: recorded`, async () => {
      await record(proof);
      return true;
    });
  }
  if (proof.ok) return output;
  throw verificationFailed({ point, at: sayTime(output.at), checks: output.checks ?? [] });
}
