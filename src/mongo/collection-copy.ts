/**
 * Brings one collection from a mongod at a moment into a live replica set.
 *
 * Promise: a copy that fails or is stopped leaves the live data as it was. One exception, which the plan names: a view or
 * time series that is to be replaced goes first, because it cannot be moved away.
 *
 * Order, and why:
 *   1. look         kind, options and indexes at the source; whether the name is free at the target
 *   2. build        under a temporary name in the target's database, with the options, without indexes
 *   3. fill         raw documents, so that no type and no field order can change
 *   4. index        after the data (faster), every option as it stands at the source
 *   5. count        against the source
 *   6. expire       TTL indexes and expireAfterSeconds, after the count: documents of the past are often due at once
 *   7. rename       into place with majority concern, which covers all before it: the only step a reader can see
 *
 * Time series and views cannot be renamed by MongoDB. A view is a definition and is made in one step. A time series
 * is built under its own name, which must be free (or is freed by `replace` after everything else was checked), and is
 * dropped again when the build fails.
 *
 * Names of ours, and whose they are:
 *   tidemark.building.…   half a copy. Dropped by the copy that made it and by nobody else: no sign tells a killed copy from
 *                         one that builds an index for a day
 *   tidemark.kept.…       live data that `replace` moved away. Back in place when the copy fails, dropped when it is done
 * A killed copy leaves either behind; the next restore into the database names them, with what to do (`leftBehind`).
 */
import type { Collection, Db, Document, FindCursor, MongoClient } from 'mongodb';
import { randomId } from '../base/ids.ts';
import { withFailures } from './connect.ts';
import { insertRaw } from './raw-insert.ts';
import { cannotStandAside, collectionExists, collectionNotThere, copyDiffers, liveMovedAway, namespaceReserved } from './collection-copy-failures.ts';

export type Existing = 'refuse' | 'aside' | 'replace';

/** A collection as a source lists it. `indexes` are specifications as createIndexes takes them. */
export type CollectionShape = {
  readonly kind: 'collection' | 'timeseries' | 'view';
  readonly options: Document;
  readonly indexes: readonly Document[];
  readonly documents: number;
  readonly bytes: number;
};

/** What will be done, before it is done. */
export type CopyPlan = { readonly from: string; readonly to: string; readonly shape: CollectionShape; readonly existing: 'none' | 'aside' | 'replace'; readonly replacesFixed: boolean; readonly says: string };

export type CopyRun = { readonly onBytes: (bytes: number) => void; readonly signal: AbortSignal; readonly asideSuffix: string; readonly nowMs: number };

const majority = { w: 'majority', wtimeout: 600_000 } as const;
const batchBytes = 16 << 20;
const batchDocuments = 5_000;

export function splitNamespace(ns: string): { db: string; name: string } {
  const dot = ns.indexOf('.');
  return { db: ns.slice(0, dot), name: ns.slice(dot + 1) };
}

/** Looks at both sides and refuses what cannot be done. Changes nothing. */
export async function planCopy(source: MongoClient, target: MongoClient, from: string, to: string, existing: Existing, at: string): Promise<CopyPlan> {
  for (const ns of [from, to]) {
    const { db, name } = splitNamespace(ns);
    if (db === 'local' || db === 'config' || db === 'admin') throw namespaceReserved({ ns, why: `database ${db} belongs to the server itself` });
    if (name.startsWith('system.') && name !== 'system.js') throw namespaceReserved({ ns, why: 'collections named system.* are kept by MongoDB' });
  }
  const shape = await withFailures(source, `the look at ${from}`, async () => await shapeOf(source, from));
  if (shape === undefined) throw collectionNotThere({ ns: from, at, near: await neighbours(source, from) });
  const there = await infoOf(target, to);
  if (there === undefined) return { from, to, shape, existing: 'none', replacesFixed: false, says: plainly(shape, from, to, 'a new collection') };
  if (existing === 'refuse') throw collectionExists({ ns: to });
  const fixed = there.type === 'view' || there.type === 'timeseries' ? there.type : shape.kind === 'collection' ? undefined : shape.kind;
  if (existing === 'aside' && fixed !== undefined) throw cannotStandAside({ ns: to, kind: fixed });
  const replacesFixed = there.type === 'view' || there.type === 'timeseries';
  const replaced = replacesFixed ? `the ${there.type} there now is DROPPED before the copy begins: MongoDB cannot rename it` : 'the one there now is replaced at the end';
  return { from, to, shape, existing, replacesFixed, says: plainly(shape, from, to, existing === 'aside' ? 'the one there now is renamed aside first' : replaced) };
}

function plainly(shape: CollectionShape, from: string, to: string, how: string): string {
  return `${shape.kind} ${from} → ${to}: ${shape.documents} document${shape.documents === 1 ? '' : 's'}, ${shape.indexes.length} index${shape.indexes.length === 1 ? '' : 'es'}${shape.kind === 'collection' ? ' besides _id' : ''}; ${how}`;
}

/** Carries out a plan. Answers the documents written and the name the old collection got, if it stood aside. */
export async function copyCollection(source: MongoClient, target: MongoClient, plan: CopyPlan, options: CopyRun): Promise<{ documents: number; aside: string | null }> {
  const { db: dbName, name } = splitNamespace(plan.to);
  const db = target.db(dbName);
  if (plan.shape.kind !== 'collection') return await buildInPlace(source, target, db, name, plan, options);
  const temporary = ownName('building', options.nowMs);
  await create(db, temporary, plan.shape);
  try {
    const documents = await build(source, db, temporary, plan, options);
    if (plan.existing !== 'aside') {
      await rename(target, `${dbName}.${temporary}`, plan.to, plan.existing === 'replace');
      return { documents, aside: null };
    }
    const aside = `${plan.to}.${options.asideSuffix}`;
    await changePlaces(target, plan.to, aside, async () => await rename(target, `${dbName}.${temporary}`, plan.to, false));
    return { documents, aside };
  } catch (error) {
    await drop(db, temporary);
    throw error;
  }
}

/** Views and time series: no temporary name is possible. What is dropped on failure is only what was made here. */
async function buildInPlace(source: MongoClient, target: MongoClient, db: Db, name: string, plan: CopyPlan, options: CopyRun): Promise<{ documents: number; aside: null }> {
  const make = async (): Promise<number> => {
    await create(db, name, plan.shape);
    try {
      return await build(source, db, name, plan, options);
    } catch (error) {
      await drop(db, name);
      throw error;
    }
  };
  if (plan.existing !== 'replace') return { documents: await make(), aside: null };
  if (plan.replacesFixed) {
    await db.command({ drop: name, writeConcern: majority });
    return { documents: await make(), aside: null };
  }
  const kept = `${ownName('kept', options.nowMs)}.${name.slice(0, keptNameLength)}`;
  let documents = 0;
  await changePlaces(target, plan.to, `${db.databaseName}.${kept}`, async () => {
    documents = await make();
  });
  await drop(db, kept);
  return { documents, aside: null };
}

/** Moves a live collection away for `work`, and back when that fails. */
async function changePlaces(target: MongoClient, live: string, away: string, work: () => Promise<void>): Promise<void> {
  await rename(target, live, away, false);
  try {
    await work();
  } catch (error) {
    await rename(target, away, live, false).catch((why: unknown) => {
      throw liveMovedAway({ ns: live, away, why: (why as Error).message }, error);
    });
    throw error;
  }
}

/** Documents of the past are often due to expire: nothing of that is switched on before they are counted. */
async function create(db: Db, name: string, { options }: CollectionShape): Promise<void> {
  const { expireAfterSeconds: _, ...plain } = options;
  await db.command({ create: name, ...plain, writeConcern: majority });
}

async function build(source: MongoClient, db: Db, name: string, plan: CopyPlan, options: CopyRun): Promise<number> {
  const { shape } = plan;
  if (shape.kind === 'view') return 0;
  const from = splitNamespace(plan.from);
  const documents = await fill(source, plan.from, source.db(from.db).collection(stored(from.name, shape.kind)), db, stored(name, shape.kind), options);
  const expires = (index: Document): boolean => index['expireAfterSeconds'] !== undefined;
  await createIndexes(db, name, shape.indexes.filter((index) => !expires(index)));
  const count = await db.collection(stored(name, shape.kind)).countDocuments({});
  if (documents !== shape.documents || count !== documents) {
    throw copyDiffers({ ns: plan.to, want: `${shape.documents} documents`, got: `${count} of ${documents} copied documents` });
  }
  await createIndexes(db, name, shape.indexes.filter(expires));
  const expireAfterSeconds: unknown = shape.options['expireAfterSeconds'];
  if (expireAfterSeconds !== undefined) await db.command({ collMod: name, expireAfterSeconds, writeConcern: majority });
  return documents;
}

async function createIndexes(db: Db, name: string, indexes: readonly Document[]): Promise<void> {
  if (indexes.length > 0) await db.command({ createIndexes: name, indexes, commitQuorum: 'majority', writeConcern: majority });
}

type Own = 'building' | 'kept';

/** A namespace holds 255 bytes; the rest of the name is for people. */
const keptNameLength = 100;

/** `tidemark.building.<ms in hex>-<chance>`: what it is and since when. */
function ownName(own: Own, nowMs: number): string {
  return `tidemark.${own}.${nowMs.toString(16)}-${randomId().slice(0, 8)}`;
}

/** What copies at work or killed ones have in a database, and since when. */
export async function leftBehind(target: MongoClient, dbName: string): Promise<{ ns: string; own: Own; sinceMs: number }[]> {
  const found = await target.db(dbName).listCollections({ name: /^tidemark\.(building|kept)\./ }, { nameOnly: true }).toArray();
  return found.map(({ name }) => {
    const [, own, since = ''] = name.split('.');
    return { ns: `${dbName}.${name}`, own: own as Own, sinceMs: Number.parseInt(since, 16) };
  });
}

/** The collection that holds the bytes. A time series is a view over its buckets, and only buckets can be copied exactly. */
function stored(name: string, kind: CollectionShape['kind']): string {
  return kind === 'timeseries' ? `system.buckets.${name}` : name;
}

/** What the source fails of is said of the source: whoever consumes this fails of its own accord. */
async function* readAll(source: MongoClient, ns: string, cursor: FindCursor<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* cursor;
  } catch (error) {
    await withFailures(source, `the read of ${ns}`, async () => await Promise.reject(error as Error));
  }
}

async function fill(source: MongoClient, ns: string, from: Collection, db: Db, name: string, options: CopyRun): Promise<number> {
  const cursor = from.find<Buffer>({}, { raw: true, batchSize: batchDocuments, sort: { $natural: 1 } });
  let batch: Buffer[] = [];
  let bytes = 0;
  let total = 0;
  const send = async (): Promise<void> => {
    if (batch.length === 0) return;
    const answer = await insertRaw(db, name, Buffer.concat(batch, bytes), { bypassDocumentValidation: true, writeConcern: { w: 1 } });
    if (answer['n'] !== batch.length) throw copyDiffers({ ns: name, want: `${batch.length} documents in a batch`, got: JSON.stringify(answer['writeErrors'] ?? answer['n']) });
    total += batch.length;
    options.onBytes(bytes);
    batch = [];
    bytes = 0;
  };
  try {
    for await (const document of readAll(source, ns, cursor)) {
      options.signal.throwIfAborted();
      if (bytes + document.length > batchBytes) await send();
      batch.push(document);
      bytes += document.length;
      if (batch.length >= batchDocuments) await send();
    }
    await send();
  } finally {
    await cursor.close();
  }
  return total;
}

async function rename(target: MongoClient, from: string, to: string, dropTarget: boolean): Promise<void> {
  await target.db('admin').command({ renameCollection: from, to, dropTarget, writeConcern: majority });
}

async function drop(db: Db, name: string): Promise<void> {
  await db.command({ drop: name, writeConcern: majority }).catch(() => {
    // What cannot be dropped now carries a name that says whose it is.
  });
}

async function infoOf(client: MongoClient, ns: string): Promise<{ type: string; options: Document } | undefined> {
  const { db, name } = splitNamespace(ns);
  const [info] = await client.db(db).listCollections({ name }, { nameOnly: false }).toArray();
  return info === undefined ? undefined : { type: info.type ?? 'collection', options: info.options ?? {} };
}

/** Kind, options, indexes and size of a collection; undefined where there is none. */
export async function shapeOf(client: MongoClient, ns: string): Promise<CollectionShape | undefined> {
  const info = await infoOf(client, ns);
  if (info === undefined) return undefined;
  const kind = info.type === 'view' || info.type === 'timeseries' ? info.type : 'collection';
  if (kind === 'view') return { kind, options: info.options, indexes: [], documents: 0, bytes: 0 };
  const { db, name } = splitNamespace(ns);
  const collection = client.db(db).collection(name);
  const documents = await client.db(db).collection(stored(name, kind)).countDocuments({});
  const [stats] = await collection.aggregate([{ $collStats: { storageStats: {} } }]).toArray();
  const listed = await collection.listIndexes().toArray();
  const indexes = listed.filter((index) => index['name'] !== '_id_' && index['clustered'] !== true).map((index) => asSpecification(index, info.options));
  return { kind, options: info.options, indexes, documents, bytes: Number(stats?.['storageStats']?.['size'] ?? 0) };
}

/**
 * A listed index as createIndexes must be asked for it. `ns` was written by servers before 4.4 and is refused today. An
 * index listed without a collation has the simple one; left out, it would inherit the collection's.
 */
function asSpecification(index: Document, collectionOptions: Document): Document {
  const { ns: _, ...specification } = index;
  const inherits = collectionOptions['collation'] !== undefined && specification['collation'] === undefined;
  return inherits ? { ...specification, collation: { locale: 'simple' } } : specification;
}

async function neighbours(client: MongoClient, ns: string): Promise<string> {
  const { db } = splitNamespace(ns);
  const names = await client.db(db).listCollections({}, { nameOnly: true }).toArray();
  return names.map((info) => `${db}.${info.name}`).slice(0, 8).join(', ');
}
