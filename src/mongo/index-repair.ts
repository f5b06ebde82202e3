/**
 * Indexes that a standalone recovery builds wrongly, found and built again.
 *
 * An index without `collation` has the simple one, also in a collection that has a collation of its own. When a recovery
 * with recoverFromOplogAsStandalone meets the commitIndexBuild of such an index, it gives it the collection's collation
 * (6.0.5; a recovery under --replSet and one of createIndexes do not). Nothing says so: the index is sound, and another one.
 */
import type { Document, MongoClient } from 'mongodb';
import { fieldOf, textOf } from './bson-bytes.ts';
import type { OplogEntry } from './oplog-entry.ts';
import { listed, withoutFirst } from './replay-indexes.ts';

/** Names of indexes without collation that were built in a range, by the collection's UUID. */
export type PlainIndexes = Map<string, Set<string>>;

export function noteIndexes(entry: OplogEntry, plain: PlainIndexes): void {
  if (entry.ui === undefined || (entry.first !== 'commitIndexBuild' && entry.first !== 'createIndexes')) return;
  const o = fieldOf(entry.bytes, 'o')!;
  const command = entry.bytes.subarray(o.value, o.value + o.size);
  const names = plain.get(entry.ui) ?? new Set<string>();
  plain.set(entry.ui, names);
  for (const specification of entry.first === 'createIndexes' ? [withoutFirst(command)] : listed(command, 'indexes')) {
    const name = textOf(specification, 'name') ?? '';
    if (fieldOf(specification, 'collation') === undefined) names.add(name);
    else names.delete(name);
  }
}

export type WrongIndex = { readonly db: string; readonly collection: string; readonly specification: Document };

/** Those that should have no collation, and have one. */
export async function findWrongIndexes(client: MongoClient, plain: PlainIndexes): Promise<WrongIndex[]> {
  if (plain.size === 0) return [];
  const wrong: WrongIndex[] = [];
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  for (const db of databases.map(({ name }) => name).filter((name) => name !== 'local')) {
    for (const info of await client
      .db(db)
      .listCollections({ 'options.collation': { $exists: true }, type: 'collection' }, { nameOnly: false })
      .toArray()) {
      const uuid =
        (info as { info?: { uuid?: { toString(encoding: string): string } } }).info?.uuid
          ?.toString('hex')
          .replaceAll('-', '') ?? '';
      const names = plain.get(uuid);
      if (names === undefined) continue;
      for (const index of await client.db(db).collection(info.name).listIndexes().toArray()) {
        if (index['collation'] !== undefined && names.has(String(index['name'])))
          wrong.push({ db, collection: info.name, specification: index });
      }
    }
  }
  return wrong;
}

/** Needs a mongod that takes writes; nothing of it is replicated. */
export async function rebuildIndexes(client: MongoClient, wrong: readonly WrongIndex[]): Promise<void> {
  for (const { db, collection, specification } of wrong) {
    await client.db(db).command({ dropIndexes: collection, index: specification['name'] });
    await client
      .db(db)
      .command({ createIndexes: collection, indexes: [{ ...specification, collation: { locale: 'simple' } }] });
  }
}
