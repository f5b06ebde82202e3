import type { Db, MongoClient } from 'mongodb';
import type { ClusterTime } from '../../src/base/cluster-time.ts';
import { compare, isSame, type Differences, type Ledger } from '../torture/ledger.ts';

/** What dbHash says of each collection, with its indexes: two databases with equal ones hold the same. */
export type Fingerprint = Readonly<Record<string, string>>;

export async function fingerprintOf(db: Db): Promise<Fingerprint> {
  const { collections } = (await db.command({ dbHash: 1 })) as unknown as { collections: Record<string, string> };
  const found: Record<string, string> = {};
  for (const [name, hash] of Object.entries(collections)) {
    const indexes = await db.collection(name).listIndexes().toArray();
    found[name] = `${hash} ${JSON.stringify(indexes.toSorted((a, b) => (a['name'] < b['name'] ? -1 : 1)))}`;
  }
  return found;
}

/** Names of what differs, or is on one side only. */
export function differing(wanted: Fingerprint, got: Fingerprint): string[] {
  return [...new Set([...Object.keys(wanted), ...Object.keys(got)])].filter((name) => wanted[name] !== got[name]).sort();
}

/** Every document of the ledger, compared with what a database holds: those with an optime up to `at` there, none later. */
export async function compareLedger(client: MongoClient, ledger: Ledger, at: ClusterTime, namespaces = ledger.namespaces): Promise<Differences & { ok: boolean }> {
  const all: Differences[] = [];
  for (const ns of namespaces) all.push(compare(ledger.at(ns, at), await versionsIn(client, ns)));
  const sum: Differences = {
    checked: all.reduce((total, each) => total + each.checked, 0),
    inDoubt: all.reduce((total, each) => total + each.inDoubt, 0),
    missing: all.flatMap((each) => each.missing),
    later: all.flatMap((each) => each.later),
    wrong: all.flatMap((each) => each.wrong),
  };
  return { ...sum, ok: isSame(sum) };
}

/** Ids that writers of a ledger make start with `w`; what was loaded before is not theirs. */
async function versionsIn(client: MongoClient, ns: string): Promise<Map<string, number>> {
  const dot = ns.indexOf('.');
  const rows = client.db(ns.slice(0, dot)).collection<{ _id: string; version: number }>(ns.slice(dot + 1));
  const found = await rows.find({ _id: { $gte: 'w', $lt: 'x' } }, { projection: { version: 1 } }).toArray();
  return new Map(found.map(({ _id, version }) => [_id, version]));
}
