import type { MongoClient } from 'mongodb';
import { runCommand } from './connect.ts';
import { oplogWindow, type SetView } from './topology.ts';

export type OplogReach = {
  /** From the oldest entry to the newest. */
  readonly heldSeconds: number;
  /** What the oplog will hold when it is full, at the pace it was written so far: a young oplog is not full yet. */
  readonly reachSeconds: number;
};

/** How far back the oplog of the member reaches that the client talks to. Asks for `collStats` on `local.oplog.rs`. */
export async function oplogReach(client: MongoClient): Promise<OplogReach> {
  const { localTime } = (await runCommand(client, 'admin', { hello: 1 })) as { localTime?: Date };
  const window = await oplogWindow(client);
  const [stats] = await client.db('local').collection('oplog.rs').aggregate([{ $collStats: { storageStats: {} } }], { maxTimeMS: 20_000 }).toArray();
  const { size, maxSize } = (stats?.['storageStats'] ?? {}) as { size?: number; maxSize?: number };
  const share = size === undefined || maxSize === undefined || maxSize === 0 ? 1 : size / maxSize;
  return { heldSeconds: window?.seconds ?? 0, reachSeconds: secondsWritten(window, localTime) / Math.min(1, Math.max(share, 1e-6)) };
}

/** The pace is counted up to now, not up to the newest entry: all entries of a young and idle set may be of the same second. */
export function secondsWritten(window: SetView['oplog'], now: Date | undefined): number {
  if (window === null) return 0;
  return Math.max(1, window.seconds, (now?.getTime() ?? 0) / 1000 - window.oldest.t);
}
