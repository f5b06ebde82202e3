/**
 * Storing and laying down again, against restic and borg on the same files at the same moment.
 *
 * One live member on XFS with the data set (about 3.5 GB of files). Each pass: the files are cloned under a lock for the
 * peers, then each tool stores them with an empty page cache, in an order that turns from pass to pass. Ours is asked
 * with the ordinary command; the wall ends when the point exists, its proof by opening is reported apart.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../test/kit/free-port.ts';
import { openReplicaSet, type ReplicaSet } from '../../test/kit/replica-set.ts';
import { costOf, round, type Cost } from './accounting.ts';
import { changeDataSet, loadDataSet, sizeOfDataSet, type DataSet } from './data-set.ts';
import { openBorg, openRestic, type Peer } from './peers.ts';
import { openProduct, type Product, type Stored } from './product.ts';
import { copyQuiesced } from './quiesced.ts';
import { folder, type Measured, type Run } from './run.ts';
import { bytesBelow, forgetPageCache, openVolume } from './volume.ts';
import { burst } from './workload.ts';

type Bed = { run: Run; set: ReplicaSet; data: DataSet; product: Product; restic: Peer; borg: Peer; copy: string; repositories: { restic: string; borg: string } };
type Pass = { readonly tidemark: Stored; readonly restic: Cost; readonly borg: Cost | null };

const ROUNDS = 10;

export async function benchIngest(run: Run): Promise<Measured> {
  const bed = await prepare(run);
  const { say } = run;
  const dbPathBytes = bytesBelow(bed.set.members[0]!.dbPath);
  say(`dbPath holds ${round(dbPathBytes / 1e9)} GB`);

  const first = await pass(bed, 'first', true);
  const bytes = { ...repositoryBytes(bed), oplogArchive: oplogBytes(bed) };
  const idleSeconds = run.scale >= 0.5 ? 120 : 20;
  say(`idle: nobody writes for ${idleSeconds} s`);
  await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000));
  const idle = await pass(bed, 'idle', true);
  say('updates 1 % at random and adds 5 %');
  const changed = await changeDataSet(bed.data, { update: 0.01, insert: 0.05, round: 1 });
  const updated = await pass(bed, 'updated', true);
  const restored = await layDown(bed, updated.tidemark.point);
  const growth = await grow(bed);

  return {
    ratios: {
      first_vs_restic: round(first.tidemark.storing.seconds / first.restic.seconds, 3),
      idle_vs_restic: round(idle.tidemark.storing.seconds / idle.restic.seconds, 3),
      updated_vs_restic: round(updated.tidemark.storing.seconds / updated.restic.seconds, 3),
      restore_vs_restic: round(restored.tidemark.layingSeconds / restored.restic.seconds, 3),
      bytes_vs_restic: round(bytes.tidemark / bytes.restic, 3),
      growth_vs_restic: round(growth.tidemarkBytes / growth.resticBytes, 3),
    },
    figures: {
      scale: run.scale,
      dbPathBytes,
      dataSet: await sizeOfDataSet(bed.data.db),
      peers: { restic: bed.restic.version, borg: bed.borg.version },
      first,
      idle,
      updated: { ...updated, ...changed },
      restored,
      repositoryBytesAfterFirst: bytes,
      growth,
    },
  };
}

async function prepare(run: Run): Promise<Bed> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 30, say));
  const set = stack.use(await openReplicaSet({ members: 1, name: 'shop', directory: join(volume.directory, 'set'), oplogSizeMb: 8000, cacheGb: 1 }));
  const client = await set.client();
  stack.defer(async () => await client.close());
  const data = { db: client.db('shop'), scale: run.scale, seed: run.seed };
  say(`loads the data set at scale ${run.scale}`);
  await loadDataSet(data);
  // A set that has lived for a while has an oplog of its own size: filled until the files are 3.5 GB at scale 1.
  for (let k = 0; k < 12 && bytesBelow(set.members[0]!.dbPath) < 3.5e9 * run.scale; k++) {
    await burst({ client, db: 'shop', scale: run.scale, seed: `history ${k}` }, Math.round(200_000 * run.scale));
    await client.db('admin').command({ fsync: 1 });
  }
  await client.db('admin').command({ fsync: 1 });
  const product = stack.use(await openProduct(run.directory));
  const repositories = { restic: join(run.directory, 'restic'), borg: join(run.directory, 'borg') };
  const restic = await openRestic(repositories.restic, folder(run, 'restic-cache'));
  const borg = await openBorg(repositories.borg, folder(run, 'borg-base'));
  await restic.init();
  await borg.init();
  await product.protect(set, 'shop');
  return { run, set, data, product, restic, borg, copy: join(volume.directory, 'quiesced'), repositories };
}

let passes = 0;

async function pass(bed: Bed, name: string, withBorg: boolean): Promise<Pass> {
  const { run, product, restic, borg } = bed;
  await copyQuiesced(bed.set.members[0]!, bed.copy);
  let tidemark: Stored | undefined;
  let resticCost: Cost | undefined;
  let borgCost: Cost | null = null;
  const turns = [
    async () => void (tidemark = await product.backup('shop')),
    async () => void (resticCost = await restic.store(bed.copy)),
    ...(withBorg ? [async () => void (borgCost = await borg.store(bed.copy))] : []),
  ];
  const order = passes++ % 2 === 0 ? turns : turns.toReversed();
  for (const turn of order) {
    await forgetPageCache();
    await turn();
  }
  const done: Pass = { tidemark: tidemark!, restic: resticCost!, borg: borgCost };
  run.say(`${name}: tidemark ${done.tidemark.storing.seconds} s (proof ${done.tidemark.proofSeconds} s), restic ${done.restic.seconds} s${done.borg === null ? '' : `, borg ${(done.borg as Cost).seconds} s`}`);
  return done;
}

/** All files of the newest point into an empty directory on the same volume, by each tool. */
async function layDown(bed: Bed, point: string): Promise<{ tidemark: { layingSeconds: number; whole: Cost; steps: Record<string, number> }; restic: Cost; borg: Cost }> {
  const { run, product, restic, borg, copy } = bed;
  const at = (name: string): string => join(copy, '..', name);
  const [port] = await freePorts(1);
  const cleared = async <T>(names: string[], work: () => Promise<T>): Promise<T> => {
    await forgetPageCache();
    try {
      return await work();
    } finally {
      for (const name of names) rmSync(at(name), { recursive: true, force: true });
    }
  };
  const resticCost = await cleared(['restic-out'], async () => await restic.restore(at('restic-out')));
  const ours = await cleared(['tidemark-out'], async () => await product.work('restore', 'set', 'shop', '--at', point, '--to-dir', `${at('tidemark-out')}:${port}`, '--apply'));
  const borgCost = await cleared(['borg-out'], async () => {
    mkdirSync(at('borg-out'));
    return await borg.restore(at('borg-out'));
  });
  const laying = Object.entries(ours.steps).find(([name]) => name === 'lay the files down');
  const layingSeconds = laying?.[1] ?? ours.cost.seconds;
  run.say(`restore: tidemark lays down in ${layingSeconds} s (whole command ${ours.cost.seconds} s), restic ${resticCost.seconds} s, borg ${borgCost.seconds} s`);
  return { tidemark: { layingSeconds, whole: costOf(ours.cost), steps: ours.steps }, restic: resticCost, borg: borgCost };
}

async function grow(bed: Bed): Promise<{ rounds: number; tidemarkBytes: number; resticBytes: number; oplogArchiveBytes: number; tidemarkSeconds: number[]; resticSeconds: number[] }> {
  const before = { ...repositoryBytes(bed), oplog: oplogBytes(bed) };
  const seconds = { tidemark: [] as number[], restic: [] as number[] };
  for (let round = 1; round <= ROUNDS; round++) {
    await changeDataSet(bed.data, { update: 0.01, insert: 0, round: round + 1 });
    const done = await pass(bed, `1 % random updates, round ${round} of ${ROUNDS}`, false);
    seconds.tidemark.push(done.tidemark.storing.seconds);
    seconds.restic.push(done.restic.seconds);
  }
  const after = repositoryBytes(bed);
  return {
    rounds: ROUNDS,
    tidemarkBytes: after.tidemark - before.tidemark,
    resticBytes: after.restic - before.restic,
    oplogArchiveBytes: oplogBytes(bed) - before.oplog,
    tidemarkSeconds: seconds.tidemark,
    resticSeconds: seconds.restic,
  };
}

/** Everything in the repository counts, the archived oplog too, which the peers do not have. */
function repositoryBytes({ product, repositories }: Bed): { tidemark: number; restic: number; borg: number } {
  return { tidemark: bytesBelow(product.repository), restic: bytesBelow(repositories.restic), borg: bytesBelow(repositories.borg) };
}

function oplogBytes({ product }: Bed): number {
  return bytesBelow(product.repository, (path) => path.includes('/oplog/'));
}
