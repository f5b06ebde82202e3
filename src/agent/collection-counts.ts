/**
 * Counting every collection for real: on the _id index, entry by entry, the smallest first.
 *
 * What a collection says of itself (`$collStats`) is metadata that no document was touched for. Where time runs out, the
 * rest keeps that number and is marked as not counted.
 */
import type { Document, MongoClient } from 'mongodb';
import type { Clock } from '../base/clock.ts';

export type Listed = { readonly ns: string; /** By metadata. */ readonly documents: number; readonly bytes: number };
export type Counted = { readonly documents: number; readonly counted: boolean };

/** Every collection but those of `local`, by name. */
export async function listCollections(client: MongoClient): Promise<Listed[]> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  const found: Listed[] = [];
  for (const { name } of databases) {
    if (name === 'local') continue;
    for (const info of await client.db(name).listCollections({ type: 'collection' }, { nameOnly: true }).toArray()) {
      const [stats] = await client.db(name).collection(info.name).aggregate([{ $collStats: { count: {}, storageStats: {} } }]).toArray();
      found.push({ ns: `${name}.${info.name}`, documents: Number(stats?.['count'] ?? 0), bytes: Number(stats?.['storageStats']?.['size'] ?? 0) });
    }
  }
  return found.sort((a, b) => (a.ns < b.ns ? -1 : 1));
}

/** `withinMs` for all of them together; null takes the time it takes. */
export async function countCollections(client: MongoClient, listed: readonly Listed[], withinMs: number | null, clock: Clock, signal: AbortSignal): Promise<Map<string, Counted>> {
  const startedMs = clock.monotonicMs();
  const counts = new Map<string, Counted>();
  for (const { ns, documents } of [...listed].sort((a, b) => a.documents - b.documents)) {
    signal.throwIfAborted();
    const leftMs = withinMs === null ? null : Math.floor(withinMs - (clock.monotonicMs() - startedMs));
    const real = leftMs !== null && leftMs < 1 ? undefined : await countOne(client, ns, leftMs);
    counts.set(ns, { documents: real ?? documents, counted: real !== undefined });
  }
  return counts;
}

const maxTimeExpired = 50;
/** Clustered collections, and very old ones, have no _id index: their documents are counted themselves. */
const badHint = 2;

async function countOne(client: MongoClient, ns: string, leftMs: number | null): Promise<number | undefined> {
  const dot = ns.indexOf('.');
  const collection = client.db(ns.slice(0, dot)).collection(ns.slice(dot + 1));
  const limit: Document = leftMs === null ? {} : { maxTimeMS: leftMs };
  const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
  try {
    return await collection.countDocuments({}, { hint: { _id: 1 }, ...limit }).catch(async (error: unknown) => {
      if (codeOf(error) !== badHint) throw error;
      return await collection.countDocuments({}, limit);
    });
  } catch (error) {
    if (codeOf(error) === maxTimeExpired) return undefined;
    throw error;
  }
}
