/**
 * The same 500,000 operations on small documents, which is what makes an oplog long, by three ways onto the same files: natively (load, starts and stops included), by one
 * applyOps for each as other tools do, and translated to commands over four connections, which is our second path.
 * All three must end with the same dbHash.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { compareTimes, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { until } from '../../src/base/deadline.ts';
import { replayByCommands, startReplayTarget } from '../../src/mongo/command-replay.ts';
import { compareHashes, hashAll, type Hashes } from '../../src/mongo/dbhash.ts';
import { bringTo } from '../../src/mongo/native-replay.ts';
import { startMongod } from '../../src/mongo/mongod.ts';
import type { PointManifest } from '../../src/repository/archive.ts';
import { openReplicaSet } from '../../test/kit/replica-set.ts';
import { openOwnArchive, type OwnArchive } from '../torture/archive.ts';
import { ownRepository } from '../torture/place.ts';
import { round } from './accounting.ts';
import { applyOneByOne } from './apply-ops.ts';
import { openProduct } from './product.ts';
import { openRandom } from './random.ts';
import type { Measured, Run } from './run.ts';
import { openVolume } from './volume.ts';

const OPERATIONS = 500_000;
const DOCUMENTS = 200_000;
const AT_ONCE = 500;

type Bed = { run: Run; binary: string; version: string; archive: OwnArchive; point: PointManifest; through: ClusterTime; directory: string };
type Way = { readonly seconds: number; readonly operations: number; readonly hashes: Hashes };

export async function benchReplay(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 30, say));
  const set = stack.use(await openReplicaSet({ members: 1, name: 'shop', directory: join(volume.directory, 'set'), oplogSizeMb: 8000, cacheGb: 1 }));
  await using client = await set.client();
  const meters = openMeters(client, run.seed, Math.round(DOCUMENTS * run.scale));
  await meters.load();
  await client.db('admin').command({ fsync: 1 });
  const product = stack.use(await openProduct(run.directory));
  await product.protect(set, 'shop');
  const { point: id } = await product.backup('shop');
  await meters.work(Math.round(OPERATIONS * run.scale));
  const { operationTime } = await client.db('admin').command({ ping: 1 });
  const through: ClusterTime = { t: operationTime.getHighBitsUnsigned(), i: operationTime.getLowBitsUnsigned() };
  const live = await hashAll(client);
  const archive = await openOwnArchive(await ownRepository(product.platform), 'shop', stack);
  await until('the archive to hold the operations', 300_000, async () => (compareTimes((await archive.chain()).through, through) >= 0 ? true : undefined), { everyMs: 500 });
  await set.stop();
  const bed: Bed = { run, binary: set.binary, version: set.mongoVersion, archive, point: await archive.archive.point(id), through, directory: volume.directory };
  say(`replays from ${showTime(bed.point.checkpoint)} to ${showTime(through)}`);

  const native = await natively(bed);
  say(`native: ${native.operations} entries in ${native.seconds} s`);
  const translated = await byCommands(bed);
  say(`translated: ${translated.operations} operations in ${translated.seconds} s`);
  const single = await oneByOne(bed);
  say(`one by one: ${single.operations} operations in ${single.seconds} s`);
  for (const [name, way] of Object.entries({ native, translated, single })) requireSame(name, live, way.hashes);
  const perSecond = (way: Way): number => Math.round(way.operations / way.seconds);
  return {
    ratios: { replay_vs_apply_ops: round(single.seconds / native.seconds, 1) },
    figures: {
      scale: run.scale,
      operations: single.operations,
      native: { seconds: native.seconds, perSecond: perSecond(native), steps: native.steps },
      translated: { seconds: translated.seconds, perSecond: perSecond(translated), timesApplyOps: round(single.seconds / translated.seconds, 1) },
      applyOpsOneByOne: { seconds: single.seconds, perSecond: perSecond(single) },
      dbHashEqual: true,
    },
  };
}

/** Readings of meters: half of the operations are updates, 35 % inserts, 15 % deletes, all by `_id`. */
function openMeters(client: MongoClient, seed: string, documents: number): { load(): Promise<void>; work(operations: number): Promise<void> } {
  const random = openRandom(seed, 'meters');
  const meters = client.db('shop').collection<{ _id: number; value: number; place: string; read: number }>('meters');
  const meter = (_id: number) => ({ _id, value: random.int(1e6), place: random.hex(8), read: 0 });
  const there: number[] = [];
  let next = 0;
  const insert = () => {
    there.push(next);
    return { insertOne: { document: meter(next++) } };
  };
  const remove = () => {
    const at = random.int(there.length);
    const _id = there[at]!;
    there[at] = there.at(-1)!;
    there.pop();
    return { deleteOne: { filter: { _id } } };
  };
  const update = () => ({ updateOne: { filter: { _id: there[random.int(there.length)]! }, update: { $set: { value: random.int(1e6) }, $inc: { read: 1 } } } });
  const run = async (count: number, operation: () => ReturnType<typeof insert> | ReturnType<typeof remove> | ReturnType<typeof update>): Promise<void> => {
    for (let done = 0; done < count; done += AT_ONCE) await meters.bulkWrite(Array.from({ length: Math.min(AT_ONCE, count - done) }, operation), { writeConcern: { w: 1 } });
  };
  return {
    load: async () => await run(documents, insert),
    work: async (operations) =>
      await run(operations, () => {
        const draw = random.next();
        return draw < 0.5 ? update() : draw < 0.85 ? insert() : remove();
      }),
  };
}

/** The point's files in a new directory, as a restore leaves them: just written, so in the page cache as far as that is large enough. */
async function laidDown({ archive, point, directory }: Bed, name: string): Promise<string> {
  const to = join(directory, name);
  const reader = await archive.archive.openReader();
  try {
    for (const file of point.files) {
      mkdirSync(dirname(join(to, file.path)), { recursive: true });
      await reader.layFile(file, join(to, file.path));
    }
  } finally {
    await reader.close();
  }
  return to;
}

async function natively(bed: Bed): Promise<Way & { steps: object }> {
  const dbPath = await laidDown(bed, 'native');
  const socketDir = join(bed.run.directory, 'ns');
  const { after, through: chainEnd } = await bed.archive.chain();
  const startedMs = performance.now();
  const replayed = await bringTo({
    binary: bed.binary,
    dbPath,
    mongodVersion: bed.version,
    checkpoint: bed.point.checkpoint,
    target: bed.through,
    archive: bed.archive.read,
    span: { after, through: chainEnd },
    inspect: false,
    cacheGb: 1,
    socketDir,
  });
  const seconds = round((performance.now() - startedMs) / 1000);
  const mongod = await startMongod({ binary: bed.binary, dbPath, socketDir, logPath: `${dbPath}.log`, args: ['--setParameter', 'ttlMonitorEnabled=false'] });
  const client = await mongod.client();
  const hashes = await hashAll(client);
  await client.close();
  await mongod.kill();
  rmSync(dbPath, { recursive: true });
  return { seconds, operations: replayed.entries, hashes, steps: replayed.seconds };
}

type Target = Awaited<ReturnType<typeof startReplayTarget>>;

async function byCommands(bed: Bed): Promise<Way> {
  return await onTarget(bed, 'translated', async ({ socket }) => {
    const batches = bed.archive.read(bed.point.checkpoint, bed.through);
    const { operations } = await replayByCommands({ socket, after: bed.point.checkpoint, batches, through: bed.through, connections: 4 });
    return operations;
  });
}

async function oneByOne(bed: Bed): Promise<Way> {
  return await onTarget(bed, 'one-by-one', async (target) => {
    await using client = await target.client();
    return await applyOneByOne(client, bed.archive.read, bed.point.checkpoint, bed.through);
  });
}

/** The start of the target is not counted: other tools replay into a database that runs. */
async function onTarget(bed: Bed, name: string, replay: (target: Target) => Promise<number>): Promise<Way> {
  const dbPath = await laidDown(bed, name);
  const target = await startReplayTarget({ binary: bed.binary, dbPath, socketDir: join(bed.run.directory, `${name}-s`), logPath: join(bed.run.directory, `${name}.log`), cacheGb: 1 });
  try {
    const startedMs = performance.now();
    const operations = await replay(target);
    const seconds = round((performance.now() - startedMs) / 1000);
    const client = await target.client();
    const hashes = await hashAll(client);
    await client.close();
    return { seconds, operations, hashes };
  } finally {
    await target.kill();
    rmSync(dbPath, { recursive: true, force: true });
  }
}

function requireSame(name: string, live: Hashes, got: Hashes): void {
  const differences = compareHashes(live, got, ['live set', name]);
  if (differences.length > 0) throw new Error(differences.join('; '));
}
