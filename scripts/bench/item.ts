/**
 * One 20 MB collection back into the live set, out of 1.4 GB, as it was at a random moment: from the command to the
 * collection's being there. The restic way is what its users do: restore the files, start a mongod on them, copy the
 * collection over; it can only offer the moment of its backup. mongorestore from an archive is run where it is at hand.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Db } from 'mongodb';
import { startMongod } from '../../src/mongo/mongod.ts';
import { openReplicaSet, type ReplicaSet } from '../../test/kit/replica-set.ts';
import { costOf, median, round, timed, type Cost } from './accounting.ts';
import { loadDataSet, sizeOfDataSet } from './data-set.ts';
import { findProgram, openRestic, type Peer } from './peers.ts';
import { openProduct } from './product.ts';
import { copyQuiesced } from './quiesced.ts';
import { openRandom } from './random.ts';
import { folder, type Measured, type Run } from './run.ts';
import { forgetPageCache, openVolume } from './volume.ts';
import { burst } from './workload.ts';

const ROUNDS = 3;

export async function benchItem(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 20, say));
  const set = stack.use(await openReplicaSet({ members: 1, name: 'shop', directory: join(volume.directory, 'set'), oplogSizeMb: 8000, cacheGb: 1 }));
  const client = await set.client();
  stack.defer(async () => await client.close());
  const db = client.db('shop');
  await loadDataSet({ db, scale: run.scale, seed: run.seed });
  await client.db('admin').command({ fsync: 1 });
  const product = stack.use(await openProduct(run.directory));
  await product.protect(set, 'shop');
  await product.backup('shop');
  const copy = join(volume.directory, 'quiesced');
  await copyQuiesced(set.members[0]!, copy);
  const restic = await openRestic(join(run.directory, 'restic'), folder(run, 'restic-cache'));
  await restic.init();
  await restic.store(copy);
  const archive = await dump(set, run);
  const moments = await momentsOfBurst(run, set, db);

  const tidemark: { cost: Cost; at: string; steps: Record<string, number> }[] = [];
  const resticWay: { seconds: number; restoring: number; starting: number; copying: number }[] = [];
  const mongorestore: number[] = [];
  for (let k = 0; k < ROUNDS; k++) {
    const at = openRandom(run.seed, 'moment', k).pick(moments);
    await forgetPageCache();
    const ours = await product.work('restore', 'collections', 'shop', '--at', at, '--ns', `shop.products=back.tidemark${k}`, '--apply');
    tidemark.push({ cost: costOf(ours.cost), at, steps: ours.steps });
    await forgetPageCache();
    resticWay.push(await byRestic(run, set, restic, copy, client.db('back'), `restic${k}`));
    if (archive !== undefined) mongorestore.push(await byMongorestore(set, archive, k));
    say(`round ${k + 1}: tidemark ${ours.cost.seconds} s at ${at}, restic way ${resticWay.at(-1)!.seconds} s${archive === undefined ? '' : `, mongorestore ${mongorestore.at(-1)} s`}`);
    await requireSame(db, client.db('back'), [`tidemark${k}`, `restic${k}`]);
  }
  const seconds = { tidemark: median(tidemark.map((each) => each.cost.seconds)), restic: median(resticWay.map((each) => each.seconds)) };
  const products = await db.command({ collStats: 'products' });
  return {
    ratios: { item_vs_restic: round(seconds.tidemark / seconds.restic, 3) },
    figures: {
      scale: run.scale,
      seconds: { ...seconds, mongorestore: mongorestore.length === 0 ? null : median(mongorestore) },
      dataSet: await sizeOfDataSet(db),
      collectionBytes: products['size'],
      moments: moments.length,
      tidemark,
      resticWay,
      mongorestore,
    },
  };
}

/** Writes after the backup, so that a random moment has to be reached by replay; answers moments inside them. */
async function momentsOfBurst(run: Run, set: ReplicaSet, db: Db): Promise<string[]> {
  await using client = await set.client();
  const moments: string[] = [];
  for (let k = 0; k < 10; k++) {
    await burst({ client, db: db.databaseName, scale: run.scale, seed: `${run.seed} ${k}` }, Math.round(2000 * run.scale) + 500);
    const { operationTime } = await db.command({ ping: 1 });
    moments.push(`${operationTime.getHighBitsUnsigned()},${operationTime.getLowBitsUnsigned()}`);
  }
  return moments;
}

async function byRestic(run: Run, set: ReplicaSet, restic: Peer, copy: string, into: Db, name: string): Promise<{ seconds: number; restoring: number; starting: number; copying: number }> {
  const out = join(copy, '..', 'restic-out');
  try {
    const startedMs = performance.now();
    const { seconds: restoring } = await restic.restore(out);
    const restoredMs = performance.now();
    await using mongod = await startMongod({ binary: set.binary, dbPath: join(out, copy), socketDir: folder(run, 's'), logPath: join(run.directory, 'restic-mongod.log'), args: ['--wiredTigerCacheSizeGB', '0.5'] });
    const client = await mongod.client();
    const startedAtMs = performance.now();
    await copyCollection(client.db('shop'), into, name);
    const endedMs = performance.now();
    await client.close();
    return {
      seconds: round((endedMs - startedMs) / 1000),
      restoring,
      starting: round((startedAtMs - restoredMs) / 1000),
      copying: round((endedMs - startedAtMs) / 1000),
    };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

async function copyCollection(from: Db, into: Db, name: string): Promise<void> {
  const target = into.collection(name);
  const batch: object[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await target.insertMany(batch.splice(0), { ordered: false });
  };
  for await (const document of from.collection('products').find({}, { batchSize: 1000, raw: false, promoteValues: false })) {
    batch.push(document);
    if (batch.length === 1000) await flush();
  }
  await flush();
  for (const index of await from.collection('products').indexes()) {
    if (index.name !== '_id_') await target.createIndex(index.key, { name: index.name, unique: index.unique === true });
  }
}

async function dump(set: ReplicaSet, run: Run): Promise<string | undefined> {
  const program = findProgram('mongodump');
  if (program === undefined || findProgram('mongorestore') === undefined) return undefined;
  const archive = join(run.directory, 'dump.archive');
  await timed(program, ['--uri', set.uri, '--db', 'shop', `--archive=${archive}`, '--quiet']);
  return archive;
}

async function byMongorestore(set: ReplicaSet, archive: string, round: number): Promise<number> {
  const names = ['--nsInclude', 'shop.products', '--nsFrom', 'shop.products', '--nsTo', `back.mongorestore${round}`];
  const { seconds } = await timed(findProgram('mongorestore')!, ['--uri', set.uri, `--archive=${archive}`, ...names, '--quiet']);
  return seconds;
}

/** Nobody writes to `products`, so every way must bring back what is live. */
async function requireSame(live: Db, back: Db, names: readonly string[]): Promise<void> {
  const wanted = (await live.command({ dbHash: 1, collections: ['products'] }))['collections'].products as string;
  for (const name of names) {
    const got = (await back.command({ dbHash: 1, collections: [name] }))['collections'][name] as string;
    if (got !== wanted) throw new Error(`back.${name} differs from shop.products: ${got}, not ${wanted}`);
  }
}
