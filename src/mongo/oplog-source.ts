/**
 * The oplog of one member, read from where an archive ends.
 *
 * Only what a majority has is read (read concern majority), by a tailable cursor, and the bytes of each entry are handed
 * on untouched. The first entry read must BE the last archived one, by time and term: being near proves nothing.
 *
 *   open ─ first entry ── is the last archived ──▶ proved ─ next()* ─▶ entries | nothing yet
 *              ├─ same time, another term, or gone from between others ─▶ other history (rollback)
 *              ├─ the oldest entry is newer ───────────▶ rolled over
 *              └─ none ────────────────────────────────▶ behind: this member has not got there
 *
 * The cursor itself proves that nothing is left out afterwards: mongod kills a cursor whose place is overwritten (code 136).
 */
import { Long, Timestamp, type ClientSession, type Document, type MongoClient } from 'mongodb';
import { compareTimes, sameTime, type Optime } from '../base/cluster-time.ts';
import { openClient, type MongoAddress } from './connect.ts';
import { sourceLost } from './failures.ts';
import { readOptime } from './oplog-entry.ts';
import { discoverSet, optimeOf, oplogWindow, type SetMember, type SetView } from './topology.ts';

export type NodeState = {
  readonly readable: boolean;
  readonly primary: boolean;
  readonly term: number;
  /** The newest entry that a majority has, as this member knows it. */
  readonly committed: Optime | null;
  /** The newest entry this member has applied. */
  readonly applied: Optime | null;
};

export type OplogSource = {
  readonly member: SetMember;
  /** Entries after those already given, at most about 16 MB; empty after `awaitMs` without any. */
  next(awaitMs: number): Promise<readonly Uint8Array[]>;
  state(): Promise<NodeState>;
  /** The set as this member sees it. */
  survey(): Promise<SetView>;
  close(): Promise<void>;
};

export type Opened =
  | { readonly kind: 'proved'; readonly source: OplogSource }
  | { readonly kind: 'rolled-over'; readonly resumesAt: Optime }
  | { readonly kind: 'other-history'; readonly resumesAt: Optime }
  | { readonly kind: 'behind'; readonly state: NodeState }
  | { readonly kind: 'unreadable'; readonly why: string };

const ENTRIES_AT_ONCE = 20_000;

export async function openOplogSource(address: MongoAddress, member: SetMember, after: Optime): Promise<Opened> {
  // A cursor that waits a second and is silent for ten has lost its server.
  const client = await openClient(address, { member, deadlineMs: 5_000, silenceMs: 10_000, undiagnosed: true, connections: 3 });
  let kept = false;
  try {
    const state = await stateOf(client);
    if (!state.readable) return { kind: 'unreadable', why: 'it is neither primary nor secondary' };
    const session = client.startSession();
    const found = await runFind(client, session, after);
    const first = found.documents[0];
    if (first === undefined) return { kind: 'behind', state };
    const at = readOptime(first);
    if (!sameTime(at, after)) return await whatIsMissing(client, after, at);
    if (at.term !== after.term) return { kind: 'other-history', resumesAt: at };
    kept = true;
    return { kind: 'proved', source: reader(client, session, member, found) };
  } finally {
    if (!kept) await client.close();
  }
}

async function whatIsMissing(client: MongoClient, after: Optime, resumesAt: Optime): Promise<Opened> {
  const oldest = (await oplogWindow(client))?.oldest;
  const kind = oldest === undefined || compareTimes(oldest, after) > 0 ? 'rolled-over' : 'other-history';
  return { kind, resumesAt };
}

type Found = { readonly cursor: Long; readonly documents: readonly Uint8Array[] };

async function runFind(client: MongoClient, session: ClientSession, after: Optime): Promise<Found> {
  const command = {
    find: 'oplog.rs',
    filter: { ts: { $gte: new Timestamp({ t: after.t, i: after.i }) } },
    tailable: true,
    awaitData: true,
    batchSize: ENTRIES_AT_ONCE,
    readConcern: { level: 'majority' },
  };
  const answer = await client.db('local').command(command, { session, readPreference: 'primaryPreferred', fieldsAsRaw: { firstBatch: true } });
  return cursorOf(answer, 'firstBatch');
}

function cursorOf(answer: Document, batch: 'firstBatch' | 'nextBatch'): Found {
  const cursor = answer['cursor'] as Document;
  return { cursor: Long.fromValue(cursor['id'] as Long), documents: cursor[batch] as Uint8Array[] };
}

function reader(client: MongoClient, session: ClientSession, member: SetMember, found: Found): OplogSource {
  let waiting: readonly Uint8Array[] = found.documents.slice(1);
  let last = readOptime(found.documents.at(-1)!);
  const take = (): readonly Uint8Array[] => {
    const taken = waiting;
    waiting = [];
    return taken;
  };
  return {
    member,
    async next(awaitMs) {
      if (waiting.length > 0) return take();
      if (found.cursor.isZero()) throw sourceLost({ address: member.name, why: 'mongod closed the cursor' });
      const command = { getMore: found.cursor, collection: 'oplog.rs', batchSize: ENTRIES_AT_ONCE, maxTimeMS: awaitMs };
      const answer = cursorOf(await client.db('local').command(command, { session, fieldsAsRaw: { nextBatch: true } }), 'nextBatch');
      if (answer.cursor.isZero()) throw sourceLost({ address: member.name, why: 'mongod closed the cursor' });
      last = requireOrder(answer.documents, last, member.name);
      return answer.documents;
    },
    state: async () => await stateOf(client),
    survey: async () => await discoverSet(client),
    close: async () => await client.close(),
  };
}

/** Oplog order is strict; anything else means that what we read is not one history. */
function requireOrder(documents: readonly Uint8Array[], before: Optime, address: string): Optime {
  let last = before;
  for (const document of documents) {
    const at = readOptime(document);
    if (compareTimes(at, last) <= 0 || at.term < last.term) throw sourceLost({ address, why: 'its oplog went back in time' });
    last = at;
  }
  return last;
}

async function stateOf(client: MongoClient): Promise<NodeState> {
  const hello = await client.db('admin').command({ hello: 1 }, { readPreference: 'primaryPreferred' });
  const write = hello['lastWrite'] as { opTime?: { ts: Timestamp; t: unknown }; majorityOpTime?: { ts: Timestamp; t: unknown } } | undefined;
  const applied = write?.opTime === undefined ? null : optimeOf(write.opTime);
  return {
    readable: hello['isWritablePrimary'] === true || hello['secondary'] === true,
    primary: hello['isWritablePrimary'] === true,
    term: applied?.term ?? -1,
    committed: write?.majorityOpTime === undefined ? null : optimeOf(write.majorityOpTime),
    applied,
  };
}
