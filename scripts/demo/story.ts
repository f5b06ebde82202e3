/** The demo's acts, in order. Each leaves what the next needs in the cast. */
import type { Long, MongoClient, Timestamp } from 'mongodb';
import { join } from 'node:path';
import { until } from '../../src/base/deadline.ts';
import { compareTimes, parseTime, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { openClient } from '../../src/mongo/connect.ts';
import { freePorts } from '../../test/kit/free-port.ts';
import type { ReplicaSet } from '../../test/kit/replica-set.ts';
import type { Ledger } from '../torture/ledger.ts';
import type { Tidemark } from './commands.ts';
import { DATABASE, type Shop } from './shop.ts';
import { megabytes, seconds, thousands, type Stage } from './stage.ts';
import { compareLedger, differing, fingerprintOf, type Fingerprint } from './verdict.ts';

export type Cast = {
  readonly stage: Stage;
  readonly directory: string;
  readonly set: ReplicaSet;
  readonly client: MongoClient;
  readonly shop: Shop;
  readonly ledger: Ledger;
  readonly tidemark: Tidemark;
  /** What was measured, for --json. */
  readonly measured: Record<string, unknown>;
  /** What did not match; empty at the end of a good demo. */
  readonly wrong: string[];
};

export type Accident = { readonly update: ClusterTime; readonly drop: ClusterTime; readonly beforeUpdate: Fingerprint; readonly customers: string };

export async function letThemWork({ stage, shop }: Cast, ms: number): Promise<void> {
  const [startedMs, before] = [performance.now(), shop.writes()];
  await stage.during('the shop goes on selling', async (share) => {
    for (let done = 0; done < 1; done = (performance.now() - startedMs) / ms) {
      share(done);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  stage.say(`${thousands(shop.writes() - before)} more writes, each noted with its optime`);
}

export async function backUp(cast: Cast, kind: 'full' | 'incremental'): Promise<void> {
  const { stage, tidemark, measured } = cast;
  const startedMs = performance.now();
  const made = await tidemark.run('backup', 'run', DATABASE);
  const ms = performance.now() - startedMs;
  const { bytes } = made;
  stage.fact(
    made.verified === true,
    `${kind} point ${made.point}: ${made.method} copy, ${megabytes(bytes.processed)} of files, ${megabytes(bytes.read)} read, ${megabytes(bytes.stored)} stored; opened by a real mongod and looked at; ${seconds(ms)}`,
  );
  if (made.verified !== true) cast.wrong.push(`the ${kind} point was not proved`);
  measured[kind] = { point: made.point, method: made.method, bytes, seconds: ms / 1000 };
}

/** A mass update that should have named one product, and a while later a dropped collection. Both optimes come from the set's own oplog. */
export async function accident(cast: Cast, onDrop: () => void): Promise<Accident> {
  const { stage, shop, client } = cast;
  const db = client.db(DATABASE);
  await shop.pause();
  const beforeUpdate = await fingerprintOf(db);
  const { modifiedCount } = await db.collection('products').updateMany({}, { $set: { price: 0 } });
  const update = await firstInOplog(client, { ns: `${DATABASE}.products`, op: 'u', 'o.diff.u.price': 0 });
  shop.resume();
  stage.say(`a mass update without a filter sets the price of all ${thousands(modifiedCount)} products to 0; it begins at ${showTime(update)}`);
  await letThemWork(cast, 3_000);
  await shop.pause();
  const customers = (await fingerprintOf(db))['customers']!;
  const count = await db.collection('customers').countDocuments();
  await db.collection('customers').drop();
  onDrop();
  const drop = await firstInOplog(client, { ns: `${DATABASE}.$cmd`, op: 'c', 'o.drop': 'customers' });
  shop.resume();
  stage.say(`the collection customers (${thousands(count)} documents) is dropped at ${showTime(drop)}`);
  await letThemWork(cast, 3_000);
  return { update, drop, beforeUpdate, customers };
}

async function firstInOplog(client: MongoClient, query: object): Promise<ClusterTime> {
  const [entry] = await client.db('local').collection<{ ts: Timestamp }>('oplog.rs').find(query).sort({ $natural: 1 }).limit(1).toArray();
  const ts = entry!.ts as unknown as Long;
  return { t: ts.getHighBitsUnsigned(), i: ts.getLowBitsUnsigned() };
}

export async function findTheAccident(cast: Cast, happened: Accident): Promise<void> {
  const { stage, tidemark, wrong } = cast;
  await stage.during('the archive takes up the last seconds of the oplog', async () => {
    await until('the archived oplog to reach the accident', 60_000, async () => {
      const { to } = await tidemark.quietly('window', DATABASE);
      const through = typeof to === 'string' ? parseTime(to) : (to as ClusterTime | null);
      return through !== null && through !== undefined && compareTimes(through, happened.drop) >= 0 ? true : undefined;
    }, { everyMs: 500 });
  });
  const drops = await tidemark.run('oplog', 'find', DATABASE, '--ns', `${DATABASE}.customers`, '--op', 'command', '--match', '{"drop": "customers"}');
  const updates = await tidemark.run('oplog', 'find', DATABASE, '--ns', `${DATABASE}.products`, '--op', 'update', '--match', '{"diff.u.price": 0}', '--limit', '1');
  for (const [what, found, at] of [['the drop', drops, happened.drop], ['the first of the updates', updates, happened.update]] as const) {
    const first = (found.matches as { at: ClusterTime; what: string }[])[0];
    const isIt = first !== undefined && compareTimes(first.at, at) === 0;
    stage.fact(isIt, `${what} was found${first === undefined ? ' nowhere' : ` at ${showTime(first.at)}: ${first.what.slice(0, 90)}`}`);
    if (!isIt) wrong.push(`${what} at ${showTime(at)} was not found`);
  }
  cast.measured['find'] = { examined: drops.examined };
}

export async function collectionBack(cast: Cast, happened: Accident): Promise<void> {
  const { stage, tidemark, client, ledger, wrong } = cast;
  const name = 'customers_restored';
  const startedMs = performance.now();
  const done = await tidemark.run('restore', 'collections', DATABASE, '--at', `before:${showTime(happened.drop)}`, '--ns', `${DATABASE}.customers=${DATABASE}.${name}`, '--apply');
  const ms = performance.now() - startedMs;
  const db = client.db(DATABASE);
  const documents = await db.collection(name).countDocuments();
  stage.say(`${thousands(documents)} documents are back beside the live collections; ${seconds(ms)} from the command`);
  const same = (await fingerprintOf(db))[name] === happened.customers;
  stage.fact(same, 'dbHash and indexes are those of customers just before it was dropped');
  const differences = await compareLedger(
    client,
    { ...ledger, namespaces: [`${DATABASE}.${name}`], at: (_, at) => ledger.at(`${DATABASE}.customers`, at) },
    justBefore(happened.drop),
  );
  stage.fact(differences.ok, `ledger: ${thousands(differences.checked)} customers of the writers compared, ${differences.missing.length} missing, ${differences.later.length} from later, ${differences.wrong.length} of another version`);
  if (!same) wrong.push('the restored customers differ from those that were dropped');
  if (!differences.ok) wrong.push(`the restored customers differ from the ledger: ${JSON.stringify(differences).slice(0, 300)}`);
  cast.measured['collection'] = { documents, seconds: ms / 1000, at: done.at, dbHashEqual: same, ledger: summary(differences) };
}

export async function wholeSetBack(cast: Cast, happened: Accident): Promise<void> {
  const { stage, tidemark, ledger, wrong } = cast;
  const ports = await freePorts(3);
  const members = ports.flatMap((port, k) => ['--to-dir', `${join(cast.directory, `restored-${k}`)}:${port}`]);
  const startedMs = performance.now();
  const done = await tidemark.run('restore', 'set', DATABASE, '--at', `before:${showTime(happened.update)}`, ...members, '--name', 'shop-back', '--start', '--apply');
  const ms = performance.now() - startedMs;
  stage.say(`three members stand in new directories and take majority writes; ${seconds(ms)} from the command`);
  let hashes = 0;
  for (const port of ports) {
    await using member = await openClient({ hosts: [{ host: '127.0.0.1', port }] }, { member: { host: '127.0.0.1', port } });
    const differs = differing(happened.beforeUpdate, await fingerprintOf(member.db(DATABASE)));
    hashes += Object.keys(happened.beforeUpdate).length;
    if (differs.length > 0) wrong.push(`restored member ${port} differs in ${differs.join(', ')}`);
  }
  stage.fact(wrong.length === 0, `dbHash and indexes of ${hashes} collections on three members are those of the moment before the mass update`);
  await using restored = await openClient({ hosts: ports.map((port) => ({ host: '127.0.0.1', port })), replicaSet: 'shop-back' });
  const differences = await compareLedger(restored, ledger, justBefore(happened.update));
  stage.fact(differences.ok, `ledger: ${thousands(differences.checked)} documents compared, ${differences.missing.length} missing, ${differences.later.length} from later, ${differences.wrong.length} of another version`);
  if (!differences.ok) wrong.push(`the restored set differs from the ledger: ${JSON.stringify(differences).slice(0, 300)}`);
  cast.measured['wholeSet'] = { members: ports.length, seconds: ms / 1000, at: done.at, ports, ledger: summary(differences) };
}

function summary({ checked, missing, later, wrong }: { checked: number; missing: readonly string[]; later: readonly string[]; wrong: readonly string[] }): object {
  return { checked, missing: missing.length, later: later.length, wrong: wrong.length };
}

/** The greatest time below: every optime before `time` is at or below it. */
function justBefore({ t, i }: ClusterTime): ClusterTime {
  return i > 0 ? { t, i: i - 1 } : { t: t - 1, i: 0xffffffff };
}
