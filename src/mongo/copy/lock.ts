/**
 * The way that works on any file system, on secondaries: what changes least is read before, the rest under a lock.
 *
 *   pre-copy   read everything, live. The result is thrown away, its chunks stay in the repository. Again while that
 *              makes the rest much smaller
 *   refuse     when the rest would not be read within the lock's deadline: no lock is taken in vain
 *   fsync      plain, so that the lock's own checkpoint finds little to write
 *   lock       by the guardian
 *   final      files whose size or times changed since are read again, with WiredTiger.backup, whose checkpoint the lock pins
 *   unlock     and only if the lock was held without a break is the copy good
 */
import type { ClusterTime, Optime } from '../../base/cluster-time.ts';
import { withDeadline } from '../../base/deadline.ts';
import { isFailure } from '../../base/failure.ts';
import { runCommand } from '../connect.ts';
import { requireOplogHeadroom } from '../refusals.ts';
import { guardianGone, lockLost, lockRefused } from './failures.ts';
import { listFiles } from './files.ts';
import { withLock, type LockOptions } from './held-lock.ts';
import { readTimes } from './member.ts';
import { isStill, settle } from './turtle.ts';
import type { Errand, Missed, Taken } from './way.ts';

export type LockLimits = Pick<LockOptions, 'program' | 'address' | 'acquireMs' | 'holdMs'>;

const FSYNC_MS = 300_000;
const PRE_COPIES = 3;
const TRIES = 3;

export async function takeLocked(errand: Errand, limits: LockLimits): Promise<Taken | Missed> {
  const { member, ledger } = errand;
  if (member.isPrimary) return { kind: 'missed', why: 'a primary is not locked' };
  const seconds = await preCopy(errand, limits);
  if (seconds * 1000 > limits.holdMs * 0.8) return { kind: 'missed', why: `reading what keeps changing takes ${Math.ceil(seconds)} s, a lock is held for ${limits.holdMs / 1000} s at most` };
  await plainFsync(errand);
  try {
    const { value, lockedMs } = await withLock({ ...errand, ...limits }, async (signal) => {
      return await whileStill({ ...errand, signal }, async () => await ledger.storeLive(await listFiles(errand.data, { underLock: true }), 'final', signal));
    });
    const { times, value: files } = value;
    return { kind: 'taken', ...times, lockedMs, files, clone: null };
  } catch (error) {
    if (isFailure(error, lockRefused) || isFailure(error, lockLost) || isFailure(error, guardianGone)) return { kind: 'missed', why: error.message };
    throw error;
  }
}

/** Answers how many seconds the rest will take under the lock. */
async function preCopy({ client, member, data, ledger, log, signal }: Errand, limits: LockLimits): Promise<number> {
  let seconds = ledger.unknownBytes(await listFiles(data, { underLock: false })) / ledger.rate();
  for (let round = 1; round <= PRE_COPIES && seconds > 1; round++) {
    signal.throwIfAborted();
    await ledger.storeLive(await listFiles(data, { underLock: false }), 'pre', signal);
    const rest = ledger.unknownBytes(await listFiles(data, { underLock: false })) / ledger.rate();
    log.info('read before the lock', { round, secondsLeft: Math.ceil(rest) });
    const worthwhile = rest < seconds / 2;
    seconds = rest;
    if (!worthwhile) break;
  }
  if (seconds * 1000 <= limits.holdMs) await requireOplogHeadroom(client, member.name, seconds + 1);
  return seconds;
}

export async function plainFsync({ client, signal }: Pick<Errand, 'client' | 'signal'>): Promise<void> {
  await withDeadline('fsync', FSYNC_MS, async () => await runCommand(client, 'admin', { fsync: 1 }), signal);
}

/**
 * Copies under a lock, again if a checkpoint ended meanwhile: it has nothing new to say, but its metadata may be in the
 * journal that was copied, and its blocks in files that were copied before. The top is exact: nothing is written any more.
 */
export async function whileStill<T>(errand: Errand, copy: () => Promise<T>, drop: (copy: T) => Promise<void> = async () => {}): Promise<{ times: { checkpoint: ClusterTime; top: Optime; topAtLeast: Optime }; value: T }> {
  const { client, member, data } = errand;
  for (let tried = 1; tried <= TRIES; tried++) {
    const at = await settle(client, data.dbPath, member.name, errand);
    if (at === undefined) break;
    const { applied } = await readTimes(client, member.name);
    const value = await copy();
    if (await isStill(at, client, data.dbPath, errand)) return { times: { checkpoint: at.checkpoint, top: applied, topAtLeast: applied }, value };
    await drop(value);
  }
  throw lockLost({ member: member.name, why: 'checkpoints kept ending under it' });
}
