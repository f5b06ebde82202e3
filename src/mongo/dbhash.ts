/** What a database is, in a form that two of them can be compared by. */
import { createHash } from 'node:crypto';
import { BSON, type Db, type Document, type MongoClient } from 'mongodb';
import { listCatalogue, type Catalogue } from './catalogue.ts';

/** Namespace to md5 of its documents, in the order of `_id` (capped collections in their natural order). */
export type Hashes = Record<string, string>;

export type HashOptions = {
  /** The databases to look at; without it all but admin, config and local. */
  readonly databases?: readonly string[];
};

/** dbHash of every collection. */
export async function hashAll(client: MongoClient, options: HashOptions = {}): Promise<Hashes> {
  const hashes: Hashes = {};
  for (const name of await databasesOf(client, options)) Object.assign(hashes, await hashDatabase(client.db(name)));
  return sorted(hashes);
}

/** mongod's dbHash leaves some collections named system.* out; those that are data are hashed here. */
async function hashDatabase(db: Db): Promise<Hashes> {
  const { collections } = (await db.command({ dbHash: 1 })) as { collections: Record<string, string> };
  const hashes = Object.fromEntries(
    Object.entries(collections).map(([name, md5]) => [`${db.databaseName}.${name}`, md5]),
  );
  const listed = await db.listCollections({ type: 'collection' }, { nameOnly: true }).toArray();
  for (const { name } of listed) {
    const ns = `${db.databaseName}.${name}`;
    if (hashes[ns] === undefined && name !== 'system.profile') hashes[ns] = await hashDocuments(db, name);
  }
  return hashes;
}

async function hashDocuments(db: Db, name: string): Promise<string> {
  const md5 = createHash('md5');
  for await (const document of db.collection(name).find<Buffer>({}, { raw: true, sort: { _id: 1 } }))
    md5.update(document);
  return md5.digest('hex');
}

async function databasesOf(client: MongoClient, { databases }: HashOptions): Promise<readonly string[]> {
  if (databases !== undefined) return databases;
  const listed = await client.db('admin').admin().listDatabases({ nameOnly: true });
  return listed.databases
    .map(({ name }) => name)
    .filter((name) => name !== 'admin' && name !== 'config' && name !== 'local');
}

function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export type Snapshot = { readonly hashes: Hashes; readonly catalogue: Catalogue };

/** Documents, options, UUIDs and indexes of everything. */
export async function snapshotOf(client: MongoClient, options: HashOptions = {}): Promise<Snapshot> {
  const databases = await databasesOf(client, options);
  return { hashes: await hashAll(client, { databases }), catalogue: await listCatalogue(client, databases) };
}

/** The differences in words; none means equal. `names` say who is who. */
export function compareSnapshots(
  a: Snapshot,
  b: Snapshot,
  names: readonly [string, string] = ['first', 'second'],
  ignore: { readonly uuids?: boolean } = {},
): string[] {
  const differences = compareHashes(a.hashes, b.hashes, names);
  for (const ns of union(a.catalogue, b.catalogue)) {
    const [mine, theirs] = [a.catalogue[ns], b.catalogue[ns]];
    if (mine === undefined || theirs === undefined) {
      differences.push(`${ns} is listed in the ${mine === undefined ? names[1] : names[0]} only`);
      continue;
    }
    if (mine.type !== theirs.type)
      differences.push(`${ns} is a ${mine.type} in the ${names[0]}, a ${theirs.type} in the ${names[1]}`);
    if (ignore.uuids !== true && mine.uuid !== theirs.uuid)
      differences.push(`${ns} has the UUID ${mine.uuid} in the ${names[0]}, ${theirs.uuid} in the ${names[1]}`);
    if (!equal(mine.options, theirs.options))
      differences.push(
        `options of ${ns}: ${show(mine.options)} in the ${names[0]}, ${show(theirs.options)} in the ${names[1]}`,
      );
    for (const index of union(mine.indexes, theirs.indexes)) {
      if (equal(mine.indexes[index], theirs.indexes[index])) continue;
      differences.push(
        `index ${index} of ${ns}: ${show(mine.indexes[index])} in the ${names[0]}, ${show(theirs.indexes[index])} in the ${names[1]}`,
      );
    }
  }
  return differences;
}

export function compareHashes(a: Hashes, b: Hashes, names: readonly [string, string] = ['first', 'second']): string[] {
  return union(a, b).flatMap((ns) => {
    if (a[ns] === b[ns]) return [];
    if (a[ns] === undefined || b[ns] === undefined)
      return [`${ns} has documents in the ${a[ns] === undefined ? names[1] : names[0]} only`];
    return [`documents of ${ns} differ: dbHash ${a[ns]} in the ${names[0]}, ${b[ns]} in the ${names[1]}`];
  });
}

function union(a: Record<string, unknown>, b: Record<string, unknown>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
}

function equal(a: Document | undefined, b: Document | undefined): boolean {
  return show(a) === show(b);
}

function show(document: Document | undefined): string {
  return document === undefined ? 'absent' : BSON.EJSON.stringify(document, { relaxed: true });
}
