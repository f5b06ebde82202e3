/**
 * What a mongod says in its log about the recovery it did at start. Ids of lines, seen on 6.0.5:
 *
 *   23987  WiredTiger recoveryTimestamp: the stable checkpoint the files are from
 *   21544  Recovering from stable timestamp: stableTimestamp, topOfOplog
 *   21556  the truncate point is before the stable timestamp and was moved up to it: a later state than asked for
 *   21549  no entries to apply
 *   21536  Completed oplog application for recovery: numOpsApplied, applyThroughOpTime
 *   24098  Applying operations in batch: numOpsApplied before it; only at verbosity 2 of storage.recovery
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
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

const lookEveryMs = 1_000;

/** Tells how many entries have been applied whenever mongod has said more, until it is disposed of. */
export function watchApplied(logPath: string, from: number, onApplied: (entries: number) => void, everyMs = lookEveryMs): Disposable {
  let [at, isLooking, isOver] = [from, false, false];
  const look = async (): Promise<void> => {
    await using log = await open(logPath);
    const { buffer, bytesRead } = await log.read({ buffer: Buffer.alloc(1 << 20), position: at });
    const whole = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
    // A line that is longer than the buffer is none of ours.
    at += whole === 0 && bytesRead === buffer.length ? bytesRead : whole;
    const said = [...buffer.toString('utf8', 0, whole).matchAll(/"id":24098,.*"numOpsApplied":(\d+)/g)].at(-1)?.[1];
    if (said !== undefined && !isOver) onApplied(Number(said));
  };
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    // It may not have been made yet.
    look().catch(() => {}).finally(() => (isLooking = false));
  }, everyMs);
  return {
    [Symbol.dispose]() {
      isOver = true;
      clearInterval(timer);
    },
  };
}

function timestampOf(value: unknown): ClusterTime | undefined {
  const stamp = (value as { $timestamp?: { t: number; i: number } } | undefined)?.$timestamp;
  return stamp === undefined ? undefined : { t: stamp.t, i: stamp.i };
}
