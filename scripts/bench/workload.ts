/**
 * A mixed workload at a fixed rate: 35 % updates, 25 % inserts, 10 % deletes, 25 % indexed finds, 5 % two-account transactions.
 *
 * Open loop: an operation's latency counts from the moment it was due, so a stall shows in every operation it delays.
 */
import { Int32, Long, type Db, type MongoClient, type Document } from 'mongodb';
import { DOCUMENT_KINDS, idOf } from './documents.ts';
import { countOf } from './data-set.ts';
import { openRandom, type Random } from './random.ts';

export type Latency = { readonly atMs: number; readonly ms: number; readonly operation: string };
export type WorkloadOptions = { readonly client: MongoClient; readonly db: string; readonly scale: number; readonly seed: string };

export type Workload = {
  /** Every operation so far, by the wall-clock time at which it was due. */
  readonly latencies: readonly Latency[];
  readonly errors: readonly string[];
  /** Stops issuing and waits for what is under way. */
  stop(): Promise<void>;
};

type Operation = { readonly name: string; readonly share: number; readonly run: () => Promise<unknown> };

export function startWorkload(options: WorkloadOptions & { readonly rate: number }): Workload {
  const random = openRandom(options.seed, 'workload');
  const operations = operationsOn(options, random);
  const latencies: Latency[] = [];
  const errors: string[] = [];
  const underWay = new Set<Promise<void>>();
  const startedMs = performance.now();
  const wallOffset = Date.now() - startedMs;
  let issued = 0;
  const issue = (dueMs: number): void => {
    const operation = choose(operations, random);
    const work = operation.run().then(
      () => void latencies.push({ atMs: wallOffset + dueMs, ms: performance.now() - dueMs, operation: operation.name }),
      (error: unknown) => void errors.push(String(error)),
    );
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  };
  const timer = setInterval(() => {
    for (;;) {
      const dueMs = startedMs + (issued * 1000) / options.rate;
      if (dueMs > performance.now()) return;
      issued++;
      issue(dueMs);
    }
  }, 2);
  return {
    latencies,
    errors,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

/** `count` single-document operations for the oplog (50 % updates, 35 % inserts, 15 % deletes), as fast as they go. */
export async function burst(options: WorkloadOptions, count: number): Promise<void> {
  const db = options.client.db(options.db);
  const random = openRandom(options.seed, 'burst');
  const mine = makeIds(random);
  const size = 500;
  const lane = async (batches: number): Promise<void> => {
    const ids: string[] = [];
    for (let batch = 0; batch < batches; batch++) {
      const events: object[] = [];
      const orders: object[] = [];
      const deletable = ids.length - size;
      for (let k = 0; k < size; k++) {
        const draw = random.next();
        if (draw < 0.5) orders.push({ updateOne: orderUpdate(random, options.scale) });
        else if (draw < 0.85 || deletable < size) {
          const event = makeEvent(random, mine());
          ids.push(event['_id'] as string);
          events.push({ insertOne: { document: event } });
        } else events.push({ deleteOne: { filter: { _id: ids.splice(random.int(deletable), 1)[0] } } });
      }
      const writeConcern = { w: batch % 20 === 19 ? ('majority' as const) : 1 };
      await db.collection('events').bulkWrite(events as never, { ordered: false, writeConcern });
      await db.collection('orders').bulkWrite(orders as never, { ordered: false, writeConcern });
    }
  };
  const batches = Math.ceil(count / size / 2);
  await Promise.all([lane(batches), lane(Math.ceil(count / size) - batches)]);
}

/** The share of `values` below the answer is `part`; null without values. */
export function percentile(values: readonly number[], part: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!.toFixed(2));
}

function operationsOn({ client, db: name, scale }: WorkloadOptions, random: Random): Operation[] {
  const db: Db = client.db(name);
  const nextId = makeIds(random);
  const mine: string[] = [];
  const insert = async (): Promise<unknown> => {
    const event = makeEvent(random, nextId());
    const done = await db.collection('events').insertOne(event as never);
    mine.push(event['_id'] as string);
    return done;
  };
  const remove = async (): Promise<unknown> => {
    if (mine.length < 100) return await insert();
    return await db.collection('events').deleteOne({ _id: mine.splice(random.int(mine.length), 1)[0] as never });
  };
  const accounts = Math.round(10_000 * scale);
  const update = async (): Promise<unknown> => {
    const { filter, update: change } = orderUpdate(random, scale);
    return await db.collection('orders').updateOne(filter, change);
  };
  const customers = sizeOf('customers', scale);
  const find = async (): Promise<unknown> =>
    await db.collection('orders').find({ customerId: idOf(1, random.int(customers)) }).sort({ placedAt: -1 }).limit(10).toArray();
  return [
    { name: 'update', share: 35, run: update },
    { name: 'insert', share: 25, run: insert },
    { name: 'delete', share: 10, run: remove },
    { name: 'find', share: 25, run: find },
    { name: 'transaction', share: 5, run: async () => await transfer(client, db, random, accounts, nextId()) },
  ];
}

async function transfer(client: MongoClient, db: Db, random: Random, accounts: number, id: string): Promise<void> {
  const from = random.int(accounts);
  const to = (from + 1 + random.int(accounts - 2)) % accounts;
  const amount = Long.fromNumber(1 + random.int(50));
  await client.withSession(async (session) => {
    await session.withTransaction(async () => {
      await db.collection('ledger').updateOne({ _id: from as never }, { $inc: { balance: amount.negate(), moves: 1 } }, { session });
      await db.collection('ledger').updateOne({ _id: to as never }, { $inc: { balance: amount, moves: 1 } }, { session });
      await db.collection('transfers').insertOne({ _id: id as never, from, to, amount, at: new Date() }, { session });
    });
  });
}

function orderUpdate(random: Random, scale: number): { filter: Document; update: Document } {
  return {
    filter: { _id: idOf(2, random.int(sizeOf('orders', scale))) },
    update: { $set: { status: random.pick(['paid', 'packed', 'shipped']), touched: new Date() }, $inc: { 'lines.0.qty': 1 } },
  };
}

function makeEvent(random: Random, id: string): Document {
  return {
    _id: id,
    ts: new Date(),
    type: random.pick(['page_view', 'search', 'checkout']),
    sessionId: random.hex(8),
    path: `/w/${random.hex(4)}`,
    ms: new Int32(random.int(4000)),
    props: { a: random.next(), q: random.hex(60), flags: [true, false] },
  };
}

function makeIds(random: Random): () => string {
  const run = random.hex(6);
  let number = 0;
  return () => `w-${run}-${number++}`;
}

function choose(operations: readonly Operation[], random: Random): Operation {
  let draw = random.next() * 100;
  return operations.find((operation) => (draw -= operation.share) < 0) ?? operations[0]!;
}

function sizeOf(name: string, scale: number): number {
  return countOf(DOCUMENT_KINDS.find((kind) => kind.name === name)!, scale);
}
