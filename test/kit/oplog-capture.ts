/** What an agent would have: the whole oplog of a member as batches of exact bytes, and copies of its files. */
import { constants, cpSync } from 'node:fs';
import { basename } from 'node:path';
import type { MongoClient } from 'mongodb';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { batchOf, entriesOf } from '../../src/mongo/oplog-entry.ts';
import type { OplogBatch } from '../../src/mongo/oplog-batch.ts';
import type { SetMember } from './replica-set.ts';

export type CapturedOplog = {
  readonly entries: readonly { readonly at: ClusterTime & { term: number }; readonly bytes: Uint8Array }[];
  /** As the archive reads it: (after, through]. */
  read(after: ClusterTime, through: ClusterTime): AsyncGenerator<OplogBatch>;
};

/** Reads every entry of the oplog, majority-committed or not: for sets that nobody writes to any more. */
export async function captureOplog(client: MongoClient): Promise<CapturedOplog> {
  const cursor = client
    .db('local')
    .collection('oplog.rs')
    .find<Buffer>({}, { raw: true, batchSize: 5_000, sort: { $natural: 1 } });
  const documents: Buffer[] = [];
  for await (const document of cursor) documents.push(Buffer.from(document));
  return oplogOf(documents);
}

export function oplogOf(documents: readonly Uint8Array[]): CapturedOplog {
  const entries = documents.map((bytes) => ({ at: [...entriesOf(bytes)][0]!.at, bytes }));
  return {
    entries,
    read: async function* (after, through) {
      const wanted = entries.filter(({ at }) => compareTimes(at, after) > 0 && compareTimes(at, through) <= 0);
      for (let k = 0; k < wanted.length; k += 700) yield batchOf(wanted.slice(k, k + 700).map(({ bytes }) => bytes));
    },
  };
}

export type FileCopy = { readonly dbPath: string; readonly checkpoint: ClusterTime; readonly top: ClusterTime };

/** A copy under the lock, as the way `lock` makes it. Without `quiesce` the checkpoint is older than the top of the oplog. */
export async function copyMember(member: SetMember, to: string): Promise<FileCopy> {
  await using client = await member.client();
  const admin = client.db('admin');
  await admin.command({ fsync: 1, lock: true });
  try {
    const { lastStableRecoveryTimestamp: stable } = await admin.command({ replSetGetStatus: 1 });
    const [top] = await client
      .db('local')
      .collection('oplog.rs')
      .find({}, { sort: { $natural: -1 }, limit: 1 })
      .toArray();
    copyFiles(member.dbPath, to);
    return { dbPath: to, checkpoint: timeOf(stable), top: timeOf(top!['ts']) };
  } finally {
    await admin.command({ fsyncUnlock: 1 });
  }
}

export function copyFiles(from: string, to: string): void {
  const filter = (path: string): boolean =>
    !['mongod.lock', 'diagnostic.data', '_tmp'].includes(basename(path)) &&
    !basename(path).startsWith('WiredTigerPreplog');
  cpSync(from, to, { recursive: true, mode: constants.COPYFILE_FICLONE, filter });
}

/** A Timestamp of the driver as a cluster time. */
export function timeOf(stamp: { getHighBitsUnsigned(): number; getLowBitsUnsigned(): number }): ClusterTime {
  return { t: stamp.getHighBitsUnsigned(), i: stamp.getLowBitsUnsigned() };
}
