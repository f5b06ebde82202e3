/**
 * From the command to the first answered query of a published moment, with 200 MB and with 2 GB of data: it must not grow
 * with the data. Nothing of the repository is cached, and then once more as it is; the sizes take turns. Both have the same
 * hundred entries between their checkpoint and their moment, as a set that is seldom written to, and then the same thousand
 * random updates and inserts: those are replayed on data that is nowhere yet, so they do grow with it.
 */
import { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { openReplicaSet } from '../../test/kit/replica-set.ts';
import { median, round } from './accounting.ts';
import { loadDataSet, sizeOfDataSet } from './data-set.ts';
import { openProduct, type Product } from './product.ts';
import type { Measured, Run } from './run.ts';
import { forgetFiles, openVolume } from './volume.ts';
import { burst } from './workload.ts';

const ROUNDS = 5;
/** Written between the last checkpoint and the backup. */
const ENTRIES = { few: 100, many: 1_000 } as const;
type Entries = keyof typeof ENTRIES;
/** Of the data set that holds 1.43 GB at scale 1. */
const SIZES = { small: 0.14, large: 1.4 } as const;
type Size = keyof typeof SIZES;

type Bed = { readonly size: Size; readonly entries: Entries; readonly point: string; readonly cold: number[]; readonly warm: number[] };

export async function benchPublish(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 30, say));
  const product = stack.use(await openProduct(run.directory));
  const bytes: Record<Size, number> = { small: 0, large: 0 };
  const beds: Bed[] = [];
  for (const size of ['small', 'large'] as const) {
    await using set = await openReplicaSet({ members: 1, name: size, directory: `${volume.directory}/${size}`, oplogSizeMb: 4000, cacheGb: 1 });
    await using client = await set.client();
    const scale = SIZES[size] * run.scale;
    await loadDataSet({ db: client.db('shop'), scale, seed: run.seed });
    bytes[size] = (await sizeOfDataSet(client.db('shop'))).bsonBytes;
    say(`${size}: ${round(bytes[size] / 1e6, 0)} MB of documents`);
    await product.protect(set, size);
    for (const entries of ['few', 'many'] as const) {
      await checkpoint(client);
      await burst({ client, db: 'shop', scale, seed: `${run.seed} ${entries}` }, ENTRIES[entries]);
      beds.push({ size, entries, point: (await product.backup(size)).point, cold: [], warm: [] });
    }
  }
  for (let k = 0; k < ROUNDS; k++) {
    for (const bed of k % 2 === 0 ? beds : beds.toReversed()) {
      await forgetFiles(product.repository);
      bed.cold.push(await publishOnce(product, bed));
      bed.warm.push(await publishOnce(product, bed));
      say(`${bed.size}, ${ENTRIES[bed.entries]} entries: ${bed.cold.at(-1)} s from the command to the first answer, then ${bed.warm.at(-1)} s`);
    }
  }
  const seconds = (size: Size, entries: Entries, how: 'cold' | 'warm'): number => median(beds.find((bed) => bed.size === size && bed.entries === entries)![how]);
  const medians = (size: Size) => ({ few: { cold: seconds(size, 'few', 'cold'), warm: seconds(size, 'few', 'warm') }, many: { cold: seconds(size, 'many', 'cold'), warm: seconds(size, 'many', 'warm') } });
  return {
    ratios: { large_vs_small: round(seconds('large', 'few', 'cold') / seconds('small', 'few', 'cold'), 3) },
    figures: { seconds_large: seconds('large', 'few', 'cold'), entries: ENTRIES, large: medians('large'), small: medians('small'), beds, bsonBytes: bytes, scale: run.scale },
  };
}

/** Everything that is written by now is in a checkpoint afterwards: one that comes too early has only what most members had. */
async function checkpoint(client: MongoClient): Promise<void> {
  const admin = client.db('admin');
  const { operationTime } = await admin.command({ ping: 1 });
  await until('a checkpoint with everything in it', 60_000, async () => {
    await admin.command({ fsync: 1 });
    const { lastStableRecoveryTimestamp: stable } = await admin.command({ replSetGetStatus: 1 });
    return stable.greaterThanOrEqual(operationTime) ? true : undefined;
  }, { everyMs: 200 });
}

async function publishOnce(product: Product, { size, point }: Bed): Promise<number> {
  const startedMs = performance.now();
  const published = await product.platform.ok('publish', 'start', size, '--at', point, '--no-users');
  await using client = new MongoClient(published.uri as string, { serverSelectionTimeoutMS: 10_000 });
  const found = await client.db('shop').collection('products').findOne({});
  const seconds = round((performance.now() - startedMs) / 1000);
  if (found === null) throw new Error(`the published ${size} has no products`);
  await client.close();
  await product.platform.ok('publish', 'stop', (published.id ?? published.publication) as string);
  return seconds;
}
