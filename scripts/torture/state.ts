/**
 * What two mongods at the same moment must agree in: documents, options, UUIDs and indexes of everything.
 *
 * Of a capped collection they may differ in how many of the oldest documents are gone: that is no entry of the oplog, each
 * node evicts by its own counters, and members of one live set differ the same way. The newest must be the same, in order.
 *
 * A collection that mongod marked as temporary (`convertToCapped` and `$out` at work) may be there in the command replay alone:
 * every mongod drops such ones as it starts or becomes primary, and the replay's mongod was started before.
 */
import { BSON, type MongoClient } from 'mongodb';
import { compareSnapshots, snapshotOf, type Hashes, type Snapshot } from '../../src/mongo/dbhash.ts';

/** `capped`: by namespace, every document in natural order. */
export type State = Snapshot & { readonly capped: Readonly<Record<string, readonly string[]>> };

const NAMES = ['command replay', 'restore'] as const;

export async function stateOf(client: MongoClient): Promise<State> {
  const snapshot = await snapshotOf(client);
  const capped: Record<string, string[]> = {};
  for (const ns of Object.keys(snapshot.catalogue).filter((each) => isCapped(snapshot, each))) {
    const dot = ns.indexOf('.');
    const documents = await client.db(ns.slice(0, dot)).collection(ns.slice(dot + 1)).find({}, { sort: { $natural: 1 } }).toArray();
    capped[ns] = documents.map((document) => BSON.EJSON.stringify(document, { relaxed: false }));
  }
  return { ...snapshot, capped };
}

/** One sentence for each difference. Of collections in `building` the indexes are not compared: theirs are being built. */
export function differencesOf(wanted: State, got: State, building: ReadonlySet<string>): string[] {
  const kept = withoutDropped(wanted, got.catalogue);
  const evicted = [...new Set([...Object.keys(kept.capped), ...Object.keys(got.capped)])].flatMap((ns) => {
    const [a, b] = [kept.capped[ns] ?? [], got.capped[ns] ?? []];
    return endsAlike(a, b) ? [] : [`capped ${ns}: the newest documents differ (${a.length} in the ${NAMES[0]}, ${b.length} in the ${NAMES[1]})`];
  });
  return [...compareSnapshots(comparable(kept, kept, building), comparable(got, kept, building), NAMES), ...evicted];
}

/** The same where only hashes are known: those of capped collections say nothing. */
export function differencesOfHashes(wanted: State, got: Hashes): string[] {
  const kept = withoutDropped(wanted, got);
  const snapshot = (hashes: Hashes): Snapshot => ({ hashes: without(hashes, (ns) => isCapped(kept, ns)), catalogue: {} });
  return compareSnapshots(snapshot(kept.hashes), snapshot(got), NAMES);
}

/** `there`: by namespace, what the restore has. */
function withoutDropped({ hashes, catalogue, capped }: State, there: Readonly<Record<string, unknown>>): State {
  const dropped = (ns: string): boolean => catalogue[ns]?.options['temp'] === true && there[ns] === undefined;
  return { hashes: without(hashes, dropped), catalogue: without(catalogue, dropped), capped: without(capped, dropped) };
}

/** Whether the shorter one is the end of the longer one; nothing at all is the end of nothing only. */
export function endsAlike(a: readonly string[], b: readonly string[]): boolean {
  const length = Math.min(a.length, b.length);
  if (length === 0) return a.length === b.length;
  return a.slice(-length).join('\n') === b.slice(-length).join('\n');
}

function comparable(state: Snapshot, wanted: Snapshot, building: ReadonlySet<string>): Snapshot {
  return { hashes: without(state.hashes, (ns) => isCapped(wanted, ns)), catalogue: without(state.catalogue, (ns) => building.has(ns)) };
}

function isCapped({ catalogue }: Snapshot, ns: string): boolean {
  return catalogue[ns]?.options['capped'] === true;
}

function without<T>(record: Readonly<Record<string, T>>, left: (ns: string) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([ns]) => !left(ns)));
}
