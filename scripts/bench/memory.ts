/**
 * Peak memory: of the mover (the repository works inside it), the transport service and the server while a first full of
 * at least 2 GB is stored, and of a process that writes and then asks an index of 100 million chunks.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openReplicaSet } from '../../test/kit/replica-set.ts';
import { timed } from './accounting.ts';
import { loadDataSet } from './data-set.ts';
import { openProduct } from './product.ts';
import type { Measured, Run } from './run.ts';
import { bytesBelow, openVolume } from './volume.ts';
import { burst } from './workload.ts';

export async function benchMemory(run: Run): Promise<Measured> {
  const index = await askingIndex(run);
  return { ratios: {}, figures: { scale: run.scale, index, storing: await storing(run) } };
}

const CHUNKS = 100_000_000;

async function askingIndex(run: Run): Promise<object> {
  const program = new URL('index-memory.ts', import.meta.url).pathname;
  const { stdout, cpuSeconds, peakRssMiB } = await timed(process.execPath, [program, String(Math.round(CHUNKS * run.scale)), join(run.directory, 'index')]);
  rmSync(join(run.directory, 'index'), { recursive: true });
  const answer = JSON.parse(stdout) as { chunks: number; questionsPerSecond: number };
  run.say(`index of ${answer.chunks} chunks: ${peakRssMiB} MiB at the largest, ${answer.questionsPerSecond} questions a second`);
  return { ...answer, cpuSeconds };
}

async function storing(run: Run): Promise<object> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 20, say));
  const set = stack.use(await openReplicaSet({ members: 1, name: 'shop', directory: join(volume.directory, 'set'), oplogSizeMb: 4000, cacheGb: 1 }));
  await using client = await set.client();
  await loadDataSet({ db: client.db('shop'), scale: 0.6 * run.scale, seed: run.seed });
  await burst({ client, db: 'shop', scale: 0.6 * run.scale, seed: run.seed }, Math.round(100_000 * run.scale));
  await client.db('admin').command({ fsync: 1 });
  const dbPathBytes = bytesBelow(set.members[0]!.dbPath);
  const product = stack.use(await openProduct(run.directory));
  await product.protect(set, 'shop');
  const first = await product.backup('shop');
  const again = await product.backup('shop', '--full-read');
  say(`stored ${(dbPathBytes / 1e9).toFixed(2)} GB: mover ${first.peaksMiB['mover']} MiB at its largest`);
  return { dbPathBytes, first: { seconds: first.storing.seconds, peaksMiB: first.peaksMiB }, fullRead: { seconds: again.storing.seconds, peaksMiB: again.peaksMiB } };
}
