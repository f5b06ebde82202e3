/**
 * What a mongod says in its log about the recovery it did at start. Ids of lines, seen on 6.0.5:
 *
 *   23987  WiredTiger recoveryTimestamp: the stable checkpoint the files are from
 *   21544  Recovering from stable timestamp: stableTimestamp, topOfOplog
 *   21556  the truncate point is before the stable timestamp and was moved up to it: a later state than asked for
 *   21549  no entries to apply
 *   21536  Completed oplog application for recovery: numOpsApplied, applyThroughOpTime
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { ClusterTime } from '../base/cluster-time.ts';

export type RecoveryLog = {
  readonly recoveryTimestamp: ClusterTime | undefined;
  readonly movedUp: boolean;
  readonly applied: number | undefined;
};

export async function readRecovery(logPath: string, from: number): Promise<RecoveryLog> {
  const found: { -readonly [K in keyof RecoveryLog]: RecoveryLog[K] } = {
    recoveryTimestamp: undefined,
    movedUp: false,
    applied: undefined,
  };
  const lines = createInterface({ input: createReadStream(logPath, { start: from }), crlfDelay: Infinity });
  for await (const line of lines) {
    const id = /"id":(23987|21556|21549|21536),/.exec(line)?.[1];
    if (id === undefined) continue;
    const { attr } = JSON.parse(line) as { attr?: Record<string, unknown> };
    if (id === '23987') found.recoveryTimestamp = timestampOf(attr?.['recoveryTimestamp']);
    else if (id === '21556') found.movedUp = true;
    else if (id === '21549') found.applied = 0;
    else found.applied = Number(attr?.['numOpsApplied']);
  }
  return found;
}

function timestampOf(value: unknown): ClusterTime | undefined {
  const stamp = (value as { $timestamp?: { t: number; i: number } } | undefined)?.$timestamp;
  return stamp === undefined ? undefined : { t: stamp.t, i: stamp.i };
}
