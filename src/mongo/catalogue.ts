import type { Document, MongoClient } from 'mongodb';

export type CataloguedCollection = {
  readonly type: string;
  /** 32 hex digits; a view has none. */
  readonly uuid: string | null;
  readonly options: Document;
  /** By name, without what differs between two builds of the same index. An index that is still being built is left out. */
  readonly indexes: Record<string, Document>;
};

export type Catalogue = Record<string, CataloguedCollection>;

/** Everything that is listed in these databases. */
export async function listCatalogue(client: MongoClient, databases: readonly string[]): Promise<Catalogue> {
  const catalogue: Catalogue = {};
  for (const database of databases) {
    const db = client.db(database);
    for (const info of await db.listCollections({}, { nameOnly: false }).toArray()) {
      const uuid =
        (info as { info?: { uuid?: { toString(encoding: string): string } } }).info?.uuid
          ?.toString('hex')
          .replaceAll('-', '') ?? null;
      const type = info.type ?? 'collection';
      const indexes =
        type === 'view' || info.name === 'system.profile' ? {} : await indexesOf(client, database, info.name);
      catalogue[`${database}.${info.name}`] = { type, uuid, options: normal(info.options ?? {}), indexes };
    }
  }
  return catalogue;
}

/** Indexes by name, those under construction left out. */
async function indexesOf(client: MongoClient, database: string, name: string): Promise<Record<string, Document>> {
  const answer = await client
    .db(database)
    .command({ listIndexes: name, includeBuildUUIDs: true, cursor: { batchSize: 1_000 } });
  const listed = (answer['cursor'] as { firstBatch: Document[] }).firstBatch;
  const built = listed.filter((index) => index['buildUUID'] === undefined);
  return Object.fromEntries(built.map((index) => [String(index['name']), normal(index)]));
}

/** `ns` was written by servers before 4.4. Field order means nothing, but in the key of an index. */
function normal(document: Document): Document {
  const entries = Object.entries(document).filter(([name]) => name !== 'ns');
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
