/**
 * The ledger: what was written when, kept by those who wrote it, outside of any database.
 *
 * A fact is a document, the optime of the operation that changed it, and the version it has from then on (null: it is
 * gone). Each document has one writer, so its facts are in order. A fact in doubt is an operation that was not
 * acknowledged: it took effect at some time after the fact before it, or never; the next certain fact ends the doubt.
 */
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';

export type Version = number | null;
type Fact = { readonly at: ClusterTime; readonly version: Version } | { readonly at: 'unknown'; readonly version: Version };

export type Differences = {
  readonly checked: number;
  /** Documents whose outcome at that moment nobody knows: both are accepted. */
  readonly inDoubt: number;
  readonly missing: readonly string[];
  readonly later: readonly string[];
  readonly wrong: readonly string[];
};

export type Ledger = {
  note(ns: string, id: string, at: ClusterTime, version: Version): void;
  /** An operation without an answer. */
  doubt(ns: string, id: string, version: Version): void;
  /** The versions each document may have at a moment; more than one where an operation was in doubt. */
  at(ns: string, moment: ClusterTime): Map<string, ReadonlySet<Version>>;
  readonly namespaces: readonly string[];
  readonly facts: number;
};

export function openLedger(): Ledger {
  const documents = new Map<string, Map<string, Fact[]>>();
  let facts = 0;
  const add = (ns: string, id: string, fact: Fact): void => {
    const inNs = documents.get(ns) ?? new Map<string, Fact[]>();
    documents.set(ns, inNs);
    inNs.set(id, [...(inNs.get(id) ?? []), fact]);
    facts++;
  };
  return {
    note: (ns, id, at, version) => add(ns, id, { at, version }),
    doubt: (ns, id, version) => add(ns, id, { at: 'unknown', version }),
    at: (ns, moment) => new Map([...(documents.get(ns) ?? [])].map(([id, history]) => [id, versionsAt(history, moment)])),
    get namespaces() {
      return [...documents.keys()];
    },
    get facts() {
      return facts;
    },
  };
}

/** The last certain fact up to the moment, and every doubt between it and the next certain fact. */
function versionsAt(history: readonly Fact[], moment: ClusterTime): Set<Version> {
  let versions = new Set<Version>([null]);
  for (const fact of history) {
    if (fact.at === 'unknown') versions.add(fact.version);
    else if (compareTimes(fact.at, moment) <= 0) versions = new Set([fact.version]);
    else break;
  }
  return versions;
}

/** Compares what a database holds (id to version) with what the ledger says of that moment. */
export function compare(expected: ReadonlyMap<string, ReadonlySet<Version>>, found: ReadonlyMap<string, Version>): Differences {
  const missing: string[] = [];
  const later: string[] = [];
  const wrong: string[] = [];
  let inDoubt = 0;
  for (const [id, versions] of expected) {
    if (versions.size > 1) inDoubt++;
    const version = found.get(id) ?? null;
    if (versions.has(version)) continue;
    if (version === null) missing.push(id);
    else if (versions.has(null)) later.push(id);
    else wrong.push(`${id}: version ${version}, not ${[...versions].join(' or ')}`);
  }
  for (const id of found.keys()) if (!expected.has(id)) later.push(id);
  return { checked: expected.size, inDoubt, missing, later, wrong };
}

export function isSame(differences: Differences): boolean {
  return differences.missing.length + differences.later.length + differences.wrong.length === 0;
}
