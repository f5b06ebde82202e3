/** Everything users can see of a mongod's databases: a hash of each collection and its catalogue entry. */
import type { Document, MongoClient } from 'mongodb';

export type State = {
  /** By namespace: dbHash's md5. */
  readonly hashes: Readonly<Record<string, string>>;
  /** By namespace: options, view definition and index specifications, as one canonical text. */
  readonly catalogue: Readonly<Record<string, string>>;
};

const NOT_USERS = new Set(['local', 'config', 'admin']);

export async function stateOf(client: MongoClient): Promise<State> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  const hashes: Record<string, string> = {};
  const catalogue: Record<string, string> = {};
  for (const name of databases.map((each) => each.name).filter((each) => !NOT_USERS.has(each))) {
    const db = client.db(name);
    const { collections } = (await db.command({ dbHash: 1 })) as unknown as { collections: Record<string, string> };
    for (const [collection, md5] of Object.entries(collections)) hashes[`${name}.${collection}`] = md5;
    for (const info of (await db.listCollections({}, { nameOnly: false }).toArray()) as unknown as { name: string; type: string; options: Document }[]) {
      const indexes = info.type === 'collection' ? await db.collection(info.name).listIndexes().toArray() : [];
      catalogue[`${name}.${info.name}`] = canonical({ type: info.type, options: info.options, indexes: indexes.toSorted((a, b) => (a['name'] < b['name'] ? -1 : 1)) });
    }
  }
  return { hashes, catalogue };
}

/** One sentence for each namespace that is not the same on both sides. */
export function differingState(wanted: State, got: State): string[] {
  return [...differing('dbHash', wanted.hashes, got.hashes), ...differing('catalogue', wanted.catalogue, got.catalogue)];
}

function differing(what: string, wanted: Readonly<Record<string, string>>, got: Readonly<Record<string, string>>): string[] {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(got)])].sort();
  return names.filter((name) => wanted[name] !== got[name]).map((name) => `${what} of ${name}: ${got[name] ?? 'absent'}, command replay has ${wanted[name] ?? 'none'}`);
}

/** Fields of options in one order; the order inside key patterns and pipelines means something and stays. */
function canonical(value: { type: string; options: Document; indexes: Document[] }): string {
  const sorted = (document: Document): Document => Object.fromEntries(Object.entries(document).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({ type: value.type, options: sorted(value.options), indexes: value.indexes.map(sorted) });
}
