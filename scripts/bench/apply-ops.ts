/**
 * What other tools do with an oplog: one `applyOps` for each operation, through the official driver, and the next when the
 * answer is there. For histories of plain inserts, updates and deletes.
 */
import { BSON, type Document, type MongoClient } from 'mongodb';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import type { ArchivedOplog } from '../../src/mongo/replay-scan.ts';
import { entriesOf } from '../../src/mongo/oplog-entry.ts';

const options = { promoteLongs: false, promoteValues: false, promoteBuffers: false } as const;

/** Applies (after, through] and answers how many operations those were. */
export async function applyOneByOne(client: MongoClient, archive: ArchivedOplog, after: ClusterTime, through: ClusterTime): Promise<number> {
  const admin = client.db('admin');
  let operations = 0;
  for await (const batch of archive(after, through)) {
    for (const entry of entriesOf(batch.bytes)) {
      if (!isWrite(entry.op, entry.ns) || compareTimes(entry.at, through) > 0) continue;
      const { op, ns, ui, o, o2 } = BSON.deserialize(entry.bytes, options) as Document;
      const operation = { op, ns, ui, o, ...(op === 'u' ? { o2 } : {}) };
      const { results } = await admin.command({ applyOps: [operation], alwaysUpsert: false });
      if (results[0] !== true) throw new Error(`applyOps refused an operation on ${entry.ns}`);
      operations++;
    }
  }
  return operations;
}

function isWrite(op: string, ns: string): boolean {
  if (ns.startsWith('config.') || ns.startsWith('local.') || ns === 'admin.system.keys') return false;
  if (op === 'c') throw new Error(`a command on ${ns} is not for this base line`);
  return op === 'i' || op === 'u' || op === 'd';
}
