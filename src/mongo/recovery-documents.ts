/** Documents in `local` that decide what mongod's recovery does with a copy, and the set that the files will belong to. */
import { Long, ObjectId, Timestamp, type Collection, type Document, type MongoClient } from 'mongodb';
import type { ClusterTime } from '../base/cluster-time.ts';
import { hostLabel } from './connect.ts';

export function stamp({ t, i }: ClusterTime): Timestamp {
  return new Timestamp({ t, i });
}

export type NewSet = {
  readonly name: string;
  readonly members: readonly {
    readonly id: number;
    readonly host: string;
    readonly port: number;
    readonly priority?: number;
    readonly votes?: number;
    readonly hidden?: boolean;
  }[];
  readonly settings?: Document;
  /** 24 hexadecimal digits: for files that are to be of one set with others. A new id unless given. */
  readonly replicaSetId?: string;
};

/**
 * minvalid needs `t` as a 64-bit -1: with any other term members of the new set stay RECOVERING for ever, without a line in
 * their log. A copy of a primary brings a truncate point along, which would cut off again what was appended. Answers the id
 * of the new set.
 */
export async function prepareRecovery(
  client: MongoClient,
  target: ClusterTime,
  newSet: NewSet | undefined,
): Promise<string | null> {
  const local = client.db('local');
  await replaceAll(local.collection('replset.minvalid'), {
    _id: new ObjectId(),
    ts: stamp({ t: 0, i: 1 }),
    t: Long.fromInt(-1),
  });
  await local.collection('replset.election').deleteMany({});
  await replaceAll(local.collection('replset.oplogTruncateAfterPoint'), {
    _id: 'oplogTruncateAfterPoint',
    oplogTruncateAfterPoint: stamp(target),
  });
  if (newSet === undefined) return null;
  const replicaSetId = new ObjectId(newSet.replicaSetId);
  await replaceAll(local.collection('system.replset'), configuration(newSet, replicaSetId));
  return replicaSetId.toHexString();
}

async function replaceAll(collection: Collection, document: Document): Promise<void> {
  await collection.deleteMany({});
  await collection.insertOne(document);
}

/** Only seven members of a set may vote. */
const mostVotes = 7;

function configuration({ name, members, settings }: NewSet, replicaSetId: ObjectId): Document {
  return {
    _id: name,
    version: 1,
    members: members.map(({ id, host, port, priority, votes, hidden }, k) => {
      const vote = votes ?? (k < mostVotes ? 1 : 0);
      return {
        _id: id,
        host: hostLabel({ host, port }),
        arbiterOnly: false,
        buildIndexes: true,
        hidden: hidden ?? false,
        priority: vote === 0 || hidden === true ? 0 : (priority ?? 1),
        tags: {},
        secondaryDelaySecs: Long.fromInt(0),
        votes: vote,
      };
    }),
    protocolVersion: Long.fromInt(1),
    writeConcernMajorityJournalDefault: true,
    settings: { chainingAllowed: true, ...settings, replicaSetId },
  };
}
