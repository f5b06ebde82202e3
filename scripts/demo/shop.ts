/**
 * A shop at work: sales with payments in transactions, customers that come, change and go. Every acknowledged write is
 * noted in a ledger with its optime. The writers can be paused, so that a moment can be hashed that nobody writes over.
 */
import type { ClientSession, Db, MongoClient } from 'mongodb';
import type { ClusterTime } from '../../src/base/cluster-time.ts';
import { openRandom, type Random } from '../bench/random.ts';
import type { Ledger } from '../torture/ledger.ts';

export const DATABASE = 'shop';
const WRITERS = 4;
/** On average; three members and everything of ours share the machine's two cores. */
const PAUSE_MS = 30;

type Row = { readonly _id: string; readonly version: number };
export type Shop = {
  readonly writes: () => number;
  readonly errors: readonly string[];
  /** Resolves when no write is under way. */
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
};

/** `without` names a collection that is gone by then. */
export function openShop(client: MongoClient, ledger: Ledger, seed: string, has: (collection: string) => boolean): Shop {
  const errors: string[] = [];
  let writes = 0;
  let gate = Promise.resolve();
  let open = (): void => {};
  let ended = false;
  const working = new Set<Promise<unknown>>();

  const writer = async (number: number): Promise<void> => {
    const random = openRandom(seed, 'writer', number);
    const hand = writerOn(client, ledger, random, number, has);
    while (!ended) {
      await gate;
      const work = hand().then(
        () => void writes++,
        (error: unknown) => void errors.push(String(error)),
      );
      working.add(work);
      await work;
      working.delete(work);
      await new Promise((resolve) => setTimeout(resolve, random.int(2 * PAUSE_MS)));
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, number) => writer(number));
  return {
    writes: () => writes,
    errors,
    pause: async () => {
      gate = new Promise((resolve) => (open = resolve));
      await Promise.all(working);
    },
    resume: () => open(),
    stop: async () => {
      ended = true;
      open();
      await Promise.all(writers);
    },
  };
}

function writerOn(client: MongoClient, ledger: Ledger, random: Random, number: number, has: (collection: string) => boolean): () => Promise<void> {
  const db = client.db(DATABASE);
  const session = client.startSession();
  const mine: Record<'sales' | 'customers', Row[]> = { sales: [], customers: [] };
  let next = 0;
  const note = (collection: string, id: string, version: number | null): void => ledger.note(`${DATABASE}.${collection}`, id, timeOf(session), version);

  const insert = async (collection: 'sales' | 'customers'): Promise<void> => {
    const row = { _id: `w${number}-${next++}`, version: 1 };
    const more = collection === 'customers' ? { email: `${row._id}@demo.example`, name: random.hex(6) } : { amount: random.int(9000) / 100, items: random.int(9) + 1 };
    await rows(db, collection).insertOne({ ...row, ...more }, { session });
    note(collection, row._id, 1);
    mine[collection].push(row);
  };
  const update = async (collection: 'sales' | 'customers'): Promise<void> => {
    const at = random.int(mine[collection].length);
    const row = mine[collection][at]!;
    const version = row.version + 1;
    await rows(db, collection).updateOne({ _id: row._id }, { $set: { version, touched: new Date() } }, { session });
    note(collection, row._id, version);
    mine[collection][at] = { ...row, version };
  };
  const remove = async (collection: 'sales' | 'customers'): Promise<void> => {
    const [row] = mine[collection].splice(random.int(mine[collection].length), 1);
    await rows(db, collection).deleteOne({ _id: row!._id }, { session });
    note(collection, row!._id, null);
  };
  const pay = async (): Promise<void> => await transfer(session, db, ledger, random, `w${number}-${next++}`);

  return async () => {
    const draw = random.next();
    if (draw < 0.2) return await pay();
    const collection = draw < 0.4 && has('customers') ? 'customers' : 'sales';
    const kind = random.next();
    if (mine[collection].length < 5 || kind < 0.4) await insert(collection);
    else if (kind < 0.85) await update(collection);
    else await remove(collection);
  };
}

/** Money from one account to another and a payment that says so, in one transaction: the sum never changes. */
async function transfer(session: ClientSession, db: Db, ledger: Ledger, random: Random, id: string): Promise<void> {
  const from = random.int(100);
  const to = (from + 1 + random.int(98)) % 100;
  const amount = 1 + random.int(50);
  await session.withTransaction(async () => {
    await accounts(db).updateOne({ _id: `a${from}` }, { $inc: { balance: -amount } }, { session });
    await accounts(db).updateOne({ _id: `a${to}` }, { $inc: { balance: amount } }, { session });
    await rows(db, 'payments').insertOne({ _id: id, version: 1, from, to, amount }, { session });
  });
  ledger.note(`${DATABASE}.payments`, id, timeOf(session), 1);
}

export async function openAccounts(client: MongoClient): Promise<void> {
  await accounts(client.db(DATABASE)).insertMany(Array.from({ length: 100 }, (_, k) => ({ _id: `a${k}`, version: 1, balance: 1000 })));
  for (const name of ['sales', 'payments']) await client.db(DATABASE).createCollection(name);
  await client.db(DATABASE).collection('sales').createIndex({ amount: -1, items: 1 });
}

function rows(db: Db, collection: string) {
  return db.collection<{ _id: string; version: number; [field: string]: unknown }>(collection);
}

function accounts(db: Db) {
  return db.collection<{ _id: string; version: number; balance: number }>('accounts');
}

/** The optime of the session's last write: the server answers it with the acknowledgement. */
export function timeOf(session: ClientSession): ClusterTime {
  const time = session.operationTime!;
  return { t: time.getHighBitsUnsigned(), i: time.getLowBitsUnsigned() };
}
