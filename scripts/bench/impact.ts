/**
 * What an application on the primary feels while a first full is taken from a secondary: p99 of a workload at a fixed
 * rate, idle, while Tidemark works, while restic reads the same member's files, and while mongodump dumps it.
 * All members share this machine's cores, so this is the hardest case there is. The ways take turns.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointMembers, openReplicaSet, type ReplicaSet, type SetMember } from '../../test/kit/replica-set.ts';
import { costOf, median, round, timed, type Cost } from './accounting.ts';
import { loadDataSet } from './data-set.ts';
import { findProgram, openRestic } from './peers.ts';
import { openProduct, type Product } from './product.ts';
import { folder, type Measured, type Run } from './run.ts';
import { forgetFiles, openVolume } from './volume.ts';
import { percentile, startWorkload, type Workload } from './workload.ts';

const ROUNDS = 3;
const RATE = 100;
const IDLE_MS = 15_000;

type Way = 'idle' | 'tidemark' | 'restic' | 'mongodump';
type Phase = { readonly way: Way; readonly fromMs: number; readonly toMs: number; readonly cost: Cost | null; readonly lockedMs?: number };
type Bed = { run: Run; set: ReplicaSet; source: SetMember; product: Product; round: number };

export async function benchImpact(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 30, say));
  const set = stack.use(await openReplicaSet({ members: 3, name: 'shop', directory: join(volume.directory, 'set'), oplogSizeMb: 2000, cacheGb: 0.5 }));
  const client = await set.client({ connections: 64 });
  stack.defer(async () => await client.close());
  await loadDataSet({ db: client.db('shop'), scale: run.scale, seed: run.seed });
  await set.settled();
  // A member that still writes out what was loaded would be measured with it.
  await checkpointMembers(set);
  const source = (await set.secondaries())[0]!;
  const product = stack.use(await openProduct(run.directory));
  const workload = startWorkload({ client, db: 'shop', scale: run.scale, seed: run.seed, rate: RATE });
  stack.defer(async () => await workload.stop());
  await new Promise((resolve) => setTimeout(resolve, 5_000));

  const ways: Way[] = ['idle', 'tidemark', 'restic', ...(findProgram('mongodump') === undefined ? [] : (['mongodump'] as const))];
  const phases: Phase[] = [];
  for (let k = 0; k < ROUNDS; k++) {
    for (const way of k % 2 === 0 ? ways : ways.toReversed()) {
      // The reader starts from the disk; the application's own cache stays as warm as it is.
      await forgetFiles(source.dbPath);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      phases.push(await during(way, { run, set, source, product, round: k }));
      say(`round ${k + 1}, ${way}: p99 ${p99(workload, [phases.at(-1)!])} ms over ${round((phases.at(-1)!.toMs - phases.at(-1)!.fromMs) / 1000)} s`);
    }
  }
  await workload.stop();
  return summary(run, workload, phases, ways);
}

async function during(way: Way, bed: Bed): Promise<Phase> {
  const fromMs = Date.now();
  if (way === 'idle') {
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    return { way, fromMs, toMs: Date.now(), cost: null };
  }
  if (way === 'tidemark') return await firstFull(bed);
  const scratch = folder(bed.run, `scratch-${way}-${bed.round}`);
  try {
    return { way, ...(way === 'restic' ? await resticReads(bed, scratch) : await mongodumpReads(bed, scratch)) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Into a new repository each time, so that each is a first full. */
async function firstFull({ run, set, source, product, round: k }: Bed): Promise<Phase> {
  const passphrase = join(run.directory, 'passphrase');
  writeFileSync(passphrase, 'impact of a first full', { mode: 0o600 });
  const directory = join(run.directory, `repository-${k}`);
  await product.platform.ok('repository', 'add', `r${k}`, directory, '--passphrase-file', passphrase);
  await product.protect(set, 'shop', '--repository', `r${k}`);
  const fromMs = Date.now();
  const stored = await product.backup('shop', '--source', source.name);
  const toMs = fromMs + stored.storing.seconds * 1000;
  await product.platform.ok('set', 'remove', 'shop', '--apply');
  return { way: 'tidemark', fromMs, toMs, cost: stored.storing, lockedMs: stored.lockedMs };
}

async function resticReads({ source }: Bed, scratch: string): Promise<{ fromMs: number; toMs: number; cost: Cost }> {
  const restic = await openRestic(join(scratch, 'repository'), join(scratch, 'cache'));
  await restic.init();
  const fromMs = Date.now();
  const cost = await restic.store(source.dbPath);
  return { fromMs, toMs: Date.now(), cost };
}

async function mongodumpReads({ source }: Bed, scratch: string): Promise<{ fromMs: number; toMs: number; cost: Cost }> {
  const fromMs = Date.now();
  const cost = await timed(findProgram('mongodump')!, ['--uri', `mongodb://${source.name}/?directConnection=true`, `--archive=${join(scratch, 'dump')}`, '--gzip', '--quiet']);
  return { fromMs, toMs: Date.now(), cost: costOf(cost) };
}

function latenciesOf(workload: Workload, phases: readonly Phase[]): number[] {
  return workload.latencies.filter(({ atMs }) => phases.some((phase) => atMs >= phase.fromMs && atMs < phase.toMs)).map(({ ms }) => ms);
}

function p99(workload: Workload, phases: readonly Phase[]): number {
  return percentile(latenciesOf(workload, phases), 0.99) ?? Number.NaN;
}

function summary(run: Run, workload: Workload, phases: readonly Phase[], ways: readonly Way[]): Measured {
  const of = (way: Way): Phase[] => phases.filter((phase) => phase.way === way);
  const figures = Object.fromEntries(
    ways.map((way) => {
      const all = latenciesOf(workload, of(way));
      const costs = of(way).flatMap(({ cost }) => cost ?? []);
      const middle = { p50: percentile(all, 0.5), p95: percentile(all, 0.95), p99: percentile(all, 0.99), max: percentile(all, 1), operations: all.length };
      return [way, costs.length === 0 ? middle : { ...middle, seconds: median(costs.map((cost) => cost.seconds)), cpuSeconds: median(costs.map((cost) => cost.cpuSeconds)), peakRssMiB: Math.max(...costs.map((cost) => cost.peakRssMiB)) }];
    }),
  );
  const ratio = (way: Way): number => round(p99(workload, of('tidemark')) / p99(workload, of(way)), 3);
  return {
    ratios: { p99_vs_restic: ratio('restic'), p99_vs_idle: ratio('idle'), ...(ways.includes('mongodump') ? { p99_vs_mongodump: ratio('mongodump') } : {}) },
    figures: {
      scale: run.scale,
      rate: RATE,
      longestLockMs: Math.max(...of('tidemark').map((phase) => phase.lockedMs ?? 0)),
      errors: workload.errors.length,
      ...figures,
    },
  };
}
