/**
 * From the command to the first answered query of a published moment, with 200 MB and with 2 GB of data: it must not grow
 * with the data. Nothing of the repository is cached, and then once more as it is; the sizes take turns. Both have the same thousand entries between
 * their checkpoint and their moment: right after a load it would be the load that is replayed, not the data that is opened.
 */
import { MongoClient } from 'mongodb';
import { openReplicaSet, type ReplicaSet } from '../../test/kit/replica-set.ts';
import { median, round } from './accounting.ts';
import { loadDataSet, sizeOfDataSet } from './data-set.ts';
import { openProduct, type Product } from './product.ts';
import type { Measured, Run } from './run.ts';
import { forgetFiles, openVolume } from './volume.ts';
import { burst } from './workload.ts';

const ROUNDS = 5;
/** Written between the last checkpoint and the backup. */
const ENTRIES_TO_REPLAY = 1_000;
/** Of the data set that holds 1.43 GB at scale 1. */
const SIZES = { small: 0.14, large: 1.4 } as const;
type Size = keyof typeof SIZES;

export async function benchPublish(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 30, say));
  const product = stack.use(await openProduct(run.directory));
  const bytes: Record<Size, number> = { small: 0, large: 0 };
  const points: Record<Size, string> = { small: '', large: '' };
  for (const size of ['small', 'large'] as const) {
    await using set = await openReplicaSet({ members: 1, name: size, directory: `${volume.directory}/${size}`, oplogSizeMb: 4000, cacheGb: 1 });
    bytes[size] = await fill(set, SIZES[size] * run.scale, run);
    await product.protect(set, size);
    points[size] = (await product.backup(size)).point;
  }
  const cold: Record<Size, number[]> = { small: [], large: [] };
  const warm: Record<Size, number[]> = { small: [], large: [] };
  for (let k = 0; k < ROUNDS; k++) {
    for (const size of k % 2 === 0 ? (['small', 'large'] as const) : (['large', 'small'] as const)) {
      await forgetFiles(product.repository);
      cold[size].push(await publishOnce(product, size, points[size]));
      warm[size].push(await publishOnce(product, size, points[size]));
      say(`${size}: ${cold[size].at(-1)} s from the command to the first answer, then ${warm[size].at(-1)} s`);
    }
  }
  const [small, large] = [median(cold.small), median(cold.large)];
  return {
    ratios: { large_vs_small: round(large / small, 3) },
    figures: { seconds_large: large, seconds_small: small, seconds_large_warm: median(warm.large), seconds_small_warm: median(warm.small), entriesToReplay: ENTRIES_TO_REPLAY, cold, warm, bsonBytes: bytes, scale: run.scale },
  };
}

async function fill(set: ReplicaSet, scale: number, run: Run): Promise<number> {
  await using client = await set.client();
  const db = client.db('shop');
  await loadDataSet({ db, scale, seed: run.seed });
  const size = await sizeOfDataSet(db);
  await client.db('admin').command({ fsync: 1 });
  await burst({ client, db: 'shop', scale, seed: run.seed }, ENTRIES_TO_REPLAY);
  run.say(`${set.name}: ${round(size.bsonBytes / 1e6, 0)} MB of documents`);
  return size.bsonBytes;
}

async function publishOnce(product: Product, name: string, point: string): Promise<number> {
  const startedMs = performance.now();
  const published = await product.platform.ok('publish', 'start', name, '--at', point, '--no-users');
  await using client = new MongoClient(published.uri as string, { serverSelectionTimeoutMS: 10_000 });
  const found = await client.db('shop').collection('products').findOne({});
  const seconds = round((performance.now() - startedMs) / 1000);
  if (found === null) throw new Error(`the published ${name} has no products`);
  await client.close();
  await product.platform.ok('publish', 'stop', (published.id ?? published.publication) as string);
  return seconds;
}
