/** Writes into a set until it is disposed, and keeps a ledger of what was acknowledged, with the time of each answer. */
import { randomBytes } from 'node:crypto';
import { Long, type MongoClient, type Timestamp } from 'mongodb';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { openClient, type MongoAddress } from '../../src/mongo/connect.ts';

export type WriteLoad = AsyncDisposable & {
  readonly acknowledged: { readonly id: number; readonly at: ClusterTime }[];
  /** Acknowledged no later than `top` and absent from `client`. */
  missing(client: MongoClient, top: ClusterTime): Promise<number[]>;
  stop(): Promise<void>;
};

const DB = 'load';

/** `seedBytes` of documents first; then small inserts (the ledger), random updates of the seeded documents, and some DDL. */
export async function startLoad(address: MongoAddress, options: { seedBytes: number; batch?: number }): Promise<WriteLoad> {
  const client = await openClient(address, { silenceMs: null });
  const db = client.db(DB);
  const seeded = Math.ceil(options.seedBytes / 2000);
  const pad = (): string => randomBytes(900).toString('hex');
  for (let from = 0; from < seeded; from += 1000) {
    await db.collection<{ _id: number }>('seeded').insertMany(Array.from({ length: Math.min(1000, seeded - from) }, (_, k) => ({ _id: from + k, n: 0, pad: pad() })));
  }
  await db.collection('seeded').createIndex({ n: 1 });
  const acknowledged: { id: number; at: ClusterTime }[] = [];
  let running = true;
  let next = 0;
  const write = async (): Promise<void> => {
    for (let round = 0; running; round++) {
      const ids = Array.from({ length: options.batch ?? 10 }, () => next++);
      const answer = await db.command({ insert: 'ledger', documents: ids.map((id) => ({ _id: id, pad: 'x'.repeat(200) })), ordered: true });
      const time = answer['operationTime'] as Timestamp;
      acknowledged.push(...ids.map((id) => ({ id, at: { t: time.t, i: time.i } })));
      const at = (round * 7919) % Math.max(1, seeded);
      await db.collection<{ _id: number }>('seeded').updateMany({ _id: { $gte: at, $lt: at + 20 } }, { $inc: { n: 1 }, $set: { pad: pad() } });
      if (round % 40 === 0) await db.collection(`brief${round % 3}`).drop().catch(() => {});
      if (round % 40 === 20) await db.collection(`brief${round % 3}`).insertOne({ round: Long.fromNumber(round) });
    }
  };
  const writing = write();
  writing.catch(() => {});
  const stop = async (): Promise<void> => {
    if (!running) return;
    running = false;
    await writing.finally(async () => await client.close());
  };
  return {
    acknowledged,
    stop,
    async missing(copy, top) {
      const wanted = acknowledged.filter(({ at }) => compareTimes(at, top) <= 0).map(({ id }) => id);
      const there = new Set((await copy.db(DB).collection<{ _id: number }>('ledger').find({}, { projection: { _id: 1 } }).toArray()).map(({ _id }) => _id));
      return wanted.filter((id) => !there.has(id));
    },
    [Symbol.asyncDispose]: stop,
  };
}
