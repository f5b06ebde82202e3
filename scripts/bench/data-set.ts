import type { AnyBulkWriteOperation, Db, Document } from 'mongodb';
import { DOCUMENT_KINDS, EPOCH_MS, idOf, words, type DocumentKind } from './documents.ts';
import { openRandom } from './random.ts';

export type DataSet = { readonly db: Db; readonly scale: number; readonly seed: string };
export type Changes = { readonly update: number; readonly insert: number; readonly round: number };

const BATCH = 1000;
const LANES = 4;

export function countOf(kind: DocumentKind, scale: number): number {
  return Math.round(kind.count * scale);
}

/** Creates and fills the collections, then builds their indexes. */
export async function loadDataSet(set: DataSet): Promise<void> {
  for (const kind of DOCUMENT_KINDS) {
    await set.db.createCollection(kind.name);
    await inLanes(insertsOf(set, kind));
    for (const [keys, options] of kind.indexes) await set.db.collection(kind.name).createIndex(keys, options ?? {});
  }
}

function* insertsOf({ db, scale, seed }: DataSet, kind: DocumentKind): Generator<() => Promise<unknown>> {
  const count = countOf(kind, scale);
  for (let batch = 0; batch * BATCH < count; batch++) {
    const from = batch * BATCH;
    yield async () => {
      const random = openRandom(seed, kind.name, batch);
      const documents = Array.from({ length: Math.min(BATCH, count - from) }, (_, k) => kind.make(random, from + k));
      // A majority write now and then keeps the secondaries from falling out of the oplog.
      const w = batch % 20 === 19 ? 'majority' : 1;
      return await db.collection(kind.name).insertMany(documents, { ordered: false, writeConcern: { w } });
    };
  }
}

/** Updates a share of the documents, evenly scattered, and adds new ones. Another round changes other documents. */
export async function changeDataSet({ db, scale, seed }: DataSet, changes: Changes): Promise<{ updated: number; inserted: number }> {
  const done = { updated: 0, inserted: 0 };
  for (const kind of DOCUMENT_KINDS.filter((each) => each.name !== 'ledger')) {
    const count = countOf(kind, scale);
    const random = openRandom(seed, 'change', changes.round, kind.name);
    const updates = Array.from({ length: Math.round(count * changes.update) }, (): AnyBulkWriteOperation => {
      const set = { touched: new Date(EPOCH_MS + random.int(9e8) * 10), remark: words(random, 5) };
      return { updateOne: { filter: { _id: idOf(kind.kind, random.int(count)) }, update: { $set: set } } };
    });
    const added = Math.round(count * changes.insert);
    const firstNew = kind.count * 4 + added * (changes.round - 1);
    const inserts = Array.from({ length: added }, (_, k): AnyBulkWriteOperation => ({ insertOne: { document: kind.make(random, firstNew + k) } }));
    for (const operations of [updates, inserts]) {
      for (let at = 0; at < operations.length; at += BATCH) {
        await db.collection(kind.name).bulkWrite(operations.slice(at, at + BATCH), { ordered: false });
      }
    }
    done.updated += updates.length;
    done.inserted += inserts.length;
  }
  return done;
}

export async function sizeOfDataSet(db: Db): Promise<{ documents: number; bsonBytes: number; diskBytes: number }> {
  const stats: Document = await db.command({ dbStats: 1 });
  return { documents: stats['objects'] as number, bsonBytes: stats['dataSize'] as number, diskBytes: (stats['storageSize'] as number) + (stats['indexSize'] as number) };
}

async function inLanes(jobs: Generator<() => Promise<unknown>>): Promise<void> {
  const lane = async (): Promise<void> => {
    for (let job = jobs.next(); job.done !== true; job = jobs.next()) await job.value();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}
