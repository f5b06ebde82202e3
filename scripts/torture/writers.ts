/**
 * The storm: writers that do everything a replica set can put into its oplog, at once, through elections and kills.
 *
 * What is in the ledger (plain and clustered collections, transactions small and over 16 MB) is written without automatic
 * retries: an error then means "nobody knows", and never a second execution whose time would be taken for the first's.
 * The driver sends a commit that failed or was not replicated in time again, whatever it is told, and gets the time of the
 * second answer: such a transaction took effect at a time nobody knows, at or before that one.
 * The rest (DDL, index builds, TTL, capped, time series, views) is judged by dbHash and catalogue against command replay.
 */
import type { ClientSession, Collection, Db, MongoClient } from 'mongodb';
import type { ClusterTime } from '../../src/base/cluster-time.ts';
import type { ReplicaSet } from '../../test/kit/replica-set.ts';
import { openRandom, type Random } from '../bench/random.ts';
import { startDdl } from './ddl.ts';
import type { Ledger } from './ledger.ts';
import { startSpecials } from './specials.ts';

export const DATABASE = 'storm';
const LEDGERED = ['plain', 'clustered', 'linked', 'big'] as const;
type Ledgered = (typeof LEDGERED)[number];
type Row = { _id: string; version: number; [field: string]: unknown };
type Mine = { collection: Ledgered; id: string; version: number };

export type Storm = AsyncDisposable & {
  readonly counts: Readonly<Record<string, number>>;
  readonly errors: ReadonlyMap<string, number>;
  stop(): Promise<void>;
};

/** One kind of work: does one thing, and is called again and again. */
export type Hand = { readonly name: string; readonly everyMs: number; act(): Promise<void> };

const options = { connections: 30, silenceMs: 30_000, more: { retryWrites: false, monitorCommands: true, writeConcern: { w: 'majority' as const, wtimeoutMS: 20_000 } } };

export async function startStorm(set: ReplicaSet, ledger: Ledger, seed: string): Promise<Storm> {
  const client = await set.client(options);
  const commits: Commits = new Map();
  client.on('commandStarted', ({ commandName, command }) => {
    if (commandName !== 'commitTransaction') return;
    const session = sessionKey(command['lsid'] as Lsid);
    commits.set(session, (commits.get(session) ?? 0) + 1);
  });
  const db = client.db(DATABASE);
  await prepare(db);
  const hands: Hand[] = [
    ...[0, 1, 2].map((number) => documentHand(client, ledger, openRandom(seed, 'documents', number), `w${number}-`)),
    transactionHand(client, ledger, openRandom(seed, 'transactions'), 'wt-', commits),
    bigTransactionHand(client, ledger, openRandom(seed, 'big'), 'wb-', commits),
    ...(await startDdl(client, openRandom(seed, 'ddl'))),
    ...(await startSpecials(client, openRandom(seed, 'specials'))),
  ];
  return running(hands, client);
}

const unhurriedMs = 100;

/** Documents of the ledger alone, by three writers who leave the machine to what is tried on it. */
export async function startDocuments(set: ReplicaSet, ledger: Ledger, seed: string): Promise<Storm> {
  const client = await set.client(options);
  await prepare(client.db(DATABASE));
  return running([0, 1, 2].map((number) => ({ ...documentHand(client, ledger, openRandom(seed, 'documents', number), `w${number}-`), everyMs: unhurriedMs })), client);
}

async function prepare(db: Db): Promise<void> {
  await db.createCollection('clustered', { clusteredIndex: { key: { _id: 1 }, unique: true, name: 'by id' } });
  for (const name of ['plain', 'linked', 'big']) await db.createCollection(name);
  await db.collection('plain').createIndexes([{ key: { tags: 1 } }, { key: { text: 'text' } }, { key: { score: 1, version: -1 }, sparse: true }]);
}

function running(hands: readonly Hand[], client: MongoClient): Storm {
  const counts: Record<string, number> = {};
  const errors = new Map<string, number>();
  const ends = new AbortController();
  const loop = async (hand: Hand): Promise<void> => {
    while (!ends.signal.aborted) {
      try {
        await hand.act();
        counts[hand.name] = (counts[hand.name] ?? 0) + 1;
      } catch (error) {
        const what = `${hand.name}: ${(error as { codeName?: string }).codeName ?? (error as Error).name}`;
        errors.set(what, (errors.get(what) ?? 0) + 1);
        await pause(200);
      }
      await pause(hand.everyMs);
    }
  };
  const loops = hands.map(loop);
  const stop = async (): Promise<void> => {
    ends.abort();
    await Promise.all(loops);
    await client.close();
  };
  return { counts, errors, stop, [Symbol.asyncDispose]: stop };
}

function documentHand(client: MongoClient, ledger: Ledger, random: Random, prefix: string): Hand {
  const session = client.startSession();
  const mine: Mine[] = [];
  let next = 0;
  return {
    name: 'documents',
    everyMs: 25,
    async act() {
      const draw = random.next();
      const at = random.int(mine.length);
      const row = mine[at];
      if (row === undefined || mine.length < 20 || (draw < 0.35 && mine.length < 400)) {
        const made: Mine = { collection: random.pick(['plain', 'plain', 'clustered']), id: `${prefix}${next++}`, version: 1 };
        await noting(ledger, session, [made], async () => await rows(client, made.collection).insertOne(makeRow(made, random), { session }));
        mine.push(made);
      } else if (draw < 0.85) {
        mine.splice(at, 1);
        const changed = { ...row, version: row.version + 1 };
        await noting(ledger, session, [changed], async () => await change(rows(client, row.collection), changed, random, session));
        mine.push(changed);
      } else {
        mine.splice(at, 1);
        await noting(ledger, session, [{ ...row, version: null }], async () => await rows(client, row.collection).deleteOne({ _id: row.id }, { session }));
      }
    },
  };
}

async function change(collection: Collection<Row>, to: Mine, random: Random, session: ClientSession): Promise<unknown> {
  const filter = { _id: to.id };
  const { version } = to;
  switch (random.int(6)) {
    case 0:
      return await collection.replaceOne(filter, makeRow(to, random), { session });
    case 1:
      return await collection.updateOne(filter, { $set: { version }, $push: { list: { $each: [random.int(100), random.hex(4)], $slice: -12 } } } as never, { session });
    case 2:
      return await collection.updateOne(filter, { $set: { version, 'nested.deep.value': random.next() }, $unset: { score: 1 } } as never, { session });
    case 3:
      return await collection.findOneAndUpdate(filter, [{ $set: { version, text: { $concat: [{ $ifNull: ['$text', ''] }, ' ', random.hex(3)] } } }], { session });
    case 4:
      return await collection.updateOne(filter, { $set: { version }, $inc: { counter: random.int(7) }, $rename: { extra: `extra${random.int(3)}` } } as never, { session });
    default:
      return await collection.updateOne(filter, { $set: { version, tags: [random.hex(1), random.hex(2)], touched: new Date() } }, { session });
  }
}

/** A few documents in two collections at once; one in five is aborted and must leave nothing. */
function transactionHand(client: MongoClient, ledger: Ledger, random: Random, prefix: string, commits: Commits): Hand {
  const session = client.startSession();
  const mine: Mine[] = [];
  let next = 0;
  return {
    name: 'transactions',
    everyMs: 120,
    async act() {
      const made = Array.from({ length: 1 + random.int(4) }, (): Mine => ({ collection: random.pick(['plain', 'linked']), id: `${prefix}${next++}`, version: 1 }));
      const changed = mine.splice(0, random.int(3)).map((row) => ({ ...row, version: row.version + 1 }));
      const abort = random.next() < 0.2;
      const work = async (): Promise<void> => {
        session.startTransaction({ writeConcern: { w: 'majority' } });
        for (const row of made) await rows(client, row.collection).insertOne(makeRow(row, random), { session });
        for (const row of changed) await rows(client, row.collection).updateOne({ _id: row.id }, { $set: { version: row.version } }, { session });
        await (abort ? session.abortTransaction() : session.commitTransaction());
      };
      if (abort) {
        mine.unshift(...changed.map((row) => ({ ...row, version: row.version - 1 })));
        return await ending(session, work);
      }
      await noting(ledger, session, [...made, ...changed], async () => await ending(session, work), commits);
      mine.push(...made, ...changed);
      if (mine.length > 200) mine.splice(0, 50);
    },
  };
}

/** More than 16 MB in one transaction: several oplog entries, visible at the last one only. The batch before goes in the same. */
function bigTransactionHand(client: MongoClient, ledger: Ledger, random: Random, prefix: string, commits: Commits): Hand {
  const session = client.startSession();
  let before: Mine[] = [];
  let next = 0;
  return {
    name: 'big transactions',
    everyMs: 12_000,
    async act() {
      const made = Array.from({ length: 18 }, (): Mine => ({ collection: 'big', id: `${prefix}${next++}`, version: 1 }));
      const gone = before.map((row) => ({ ...row, version: null }));
      before = [];
      const work = async (): Promise<void> => {
        session.startTransaction({ writeConcern: { w: 'majority' } });
        for (const row of made) await rows(client, 'big').insertOne({ ...makeRow(row, random), filler: random.hex(512).repeat(1000) }, { session });
        if (gone.length > 0) await rows(client, 'big').deleteMany({ _id: { $in: gone.map((row) => row.id) } }, { session });
        await session.commitTransaction();
      };
      await noting(ledger, session, [...made, ...gone], async () => await ending(session, work), commits);
      before = made;
    },
  };
}

async function ending(session: ClientSession, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (session.inTransaction()) await session.abortTransaction().catch(() => {});
    throw error;
  }
}

type Changed = { readonly collection: string; readonly id: string; readonly version: number | null };
type Lsid = { readonly id: { toString(encoding: 'hex'): string } };
/**
 * Commits sent so far, by session: when a transaction took two, the answered time may be that of the second. Counted when
 * sent: a first try that a step-down interrupts while it waits for its majority is answered with `ok: 1`.
 */
type Commits = Map<string, number>;

function sessionKey({ id }: Lsid): string {
  return id.toString('hex');
}

/** Notes what `work` changed with its optime, or as in doubt when it failed: those documents are left alone from then on. */
async function noting(ledger: Ledger, session: ClientSession, changed: readonly Changed[], work: () => Promise<unknown>, commits?: Commits): Promise<void> {
  const sent = (): number => commits?.get(sessionKey(session.id as unknown as Lsid)) ?? 0;
  const sentBefore = sent();
  const doubt = (): void => changed.forEach(({ collection, id, version }) => ledger.doubt(`${DATABASE}.${collection}`, id, version));
  try {
    await work();
  } catch (error) {
    doubt();
    throw error;
  }
  if (sent() - sentBefore > 1) doubt();
  const at = timeOf(session);
  for (const { collection, id, version } of changed) ledger.note(`${DATABASE}.${collection}`, id, at, version);
}

function makeRow({ id, version }: Mine, random: Random): Row {
  return { _id: id, version, score: random.int(1000), text: `${random.hex(4)} ${random.hex(3)}`, tags: [random.hex(1)], nested: { deep: { value: random.next() } }, counter: 0, extra: random.hex(random.int(200)) };
}

function rows(client: MongoClient, collection: string): Collection<Row> {
  return client.db(DATABASE).collection<Row>(collection);
}

function timeOf(session: ClientSession): ClusterTime {
  const time = session.operationTime!;
  return { t: time.getHighBitsUnsigned(), i: time.getLowBitsUnsigned() };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
