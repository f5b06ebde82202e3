/**
 * A first full and its laying down in each kind of place, against the raw transfer of the same bytes to and from it.
 *
 * The files are those of a real member under a lock. In each round one process stores them in a fresh repository there, another
 * one lays them down again, and the kind's own tool or library carries the same files there and back as they are; the page cache
 * is empty before each, and the order turns. Everything shares this machine's processors: the store, too.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createRepository, makeArchive } from '../../src/repository/repository.ts';
import type { StoragePlace } from '../../src/repository/storage/location.ts';
import { openStorage } from '../../src/repository/storage/open-storage.ts';
import { median, round } from './accounting.ts';
import { workOfChild } from './child-work.ts';
import { quiescedFiles } from './network.ts';
import { folder, type Measured, type Run } from './run.ts';
import type { BenchFile, Carried, StorageBed } from './storage-bed.ts';
import { openBucketBed } from './storage-bucket.ts';
import { openShareBed } from './storage-share.ts';
import type { StorageDone, StorageJob } from './storage-node.ts';
import { bytesBelow, forgetPageCache } from './volume.ts';

const ROUNDS = 3;
const SET_ID = 'a'.repeat(24);

/** Each answers undefined, and says why, where this machine has not what it takes. */
const beds: readonly ((run: Run) => Promise<StorageBed | undefined>)[] = [openDirectoryBed, openShareBed, openBucketBed];

export async function benchStorage(run: Run): Promise<Measured> {
  const { copy, dataSet } = await quiescedFiles(run);
  const entries = readdirSync(copy, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = entries.map((entry) => join(entry.parentPath, entry.name)).map((from) => ({ path: relative(copy, from), from, bytes: statSync(from).size }));
  const bytes = bytesBelow(copy);
  run.say(`${files.length} files, ${round(bytes / 1e9)} GB`);
  const ratios: Record<string, number> = {};
  const figures: Record<string, unknown> = { scale: run.scale, bytes, dataSet };
  for (const open of beds) {
    const bed = await open(run);
    if (bed === undefined) continue;
    const measured = await measure(run, bed, files, bytes);
    Object.assign(ratios, measured.ratios);
    figures[bed.name] = measured.figures;
  }
  return { ratios, figures };
}

async function openDirectoryBed(run: Run): Promise<StorageBed> {
  return await Promise.resolve({
    name: 'local',
    async place() {
      const path = join(run.directory, 'store');
      rmSync(path, { recursive: true, force: true });
      return await Promise.resolve({ location: { kind: 'directory' as const, path }, secret: null });
    },
  });
}

type Round = { first: StorageDone; restore: StorageDone; rawPut: Carried | null; rawGet: Carried | null; requests: { first: number; restore: number } | null };

async function measure(run: Run, bed: StorageBed, files: readonly BenchFile[], bytes: number): Promise<{ ratios: Record<string, number>; figures: unknown }> {
  const rounds: Round[] = [];
  for (let k = 0; k < ROUNDS; k++) {
    const done: Round = { first: nothing, restore: nothing, rawPut: null, rawGet: null, requests: null };
    const ours = async (): Promise<void> => {
      const job = await freshArchive(await bed.place(k));
      const before = await bed.requests?.();
      await forgetPageCache();
      done.first = await inProcess({ ...job, work: { kind: 'store', files } });
      const between = await bed.requests?.();
      done.restore = await cleared(run, async (to) => await inProcess({ ...job, work: { kind: 'restore', to } }));
      const after = await bed.requests?.();
      if (before !== undefined) done.requests = { first: between! - before, restore: after! - between! };
    };
    const { raw } = bed;
    const theirs = async (): Promise<void> => {
      if (raw === undefined) return;
      await forgetPageCache();
      done.rawPut = await raw.put(files, k);
      done.rawGet = await cleared(run, async (to) => await raw.get(files, to, k));
    };
    for (const turn of k % 2 === 0 ? [ours, theirs] : [theirs, ours]) await turn();
    rounds.push(done);
    run.say(`${bed.name}, round ${k + 1}: first ${round(done.first.seconds)} s, restore ${round(done.restore.seconds)} s${done.rawPut === null ? '' : `, raw ${inWords(done.rawPut)} there and ${inWords(done.rawGet!)} back`}`);
  }
  return summed(bed.name, rounds, bytes);
}

const inWords = ({ seconds, syncSeconds }: Carried): string => `${round(seconds)} s${syncSeconds === 0 ? '' : ` and ${round(syncSeconds)} s to the disk`}`;

const nothing: StorageDone = { seconds: 0, cpuSeconds: 0, storedBytes: 0, peakRssMiB: 0 };

function summed(name: string, rounds: readonly Round[], bytes: number): { ratios: Record<string, number>; figures: unknown } {
  const rate = (seconds: readonly number[]): number => round(bytes / 1e6 / median(seconds), 1);
  const [first, restore] = [rate(rounds.map((each) => each.first.seconds)), rate(rounds.map((each) => each.restore.seconds))];
  const raw = rounds.flatMap(({ rawPut, rawGet }) => (rawPut === null || rawGet === null ? [] : [{ rawPut, rawGet }]));
  const ratios: Record<string, number> = {};
  const mbPerSecond: Record<string, number> = { first, restore };
  const beside = (suffix: string, seconds: (carried: Carried) => number): void => {
    const [put, get] = [rate(raw.map(({ rawPut }) => seconds(rawPut))), rate(raw.map(({ rawGet }) => seconds(rawGet)))];
    Object.assign(mbPerSecond, { [`rawPut${suffix}`]: put, [`rawGet${suffix}`]: get });
    Object.assign(ratios, { [`${name}_first_vs_raw${suffix}`]: round(first / put, 3), [`${name}_restore_vs_raw${suffix}`]: round(restore / get, 3) });
  };
  if (raw.length > 0) beside('', ({ seconds }) => seconds);
  if (raw.some(({ rawPut, rawGet }) => rawPut.syncSeconds + rawGet.syncSeconds > 0)) beside('_durable', ({ seconds, syncSeconds }) => seconds + syncSeconds);
  const requests = rounds.flatMap((each) => each.requests ?? []);
  const perGb = (of: readonly number[]): number | null => (of.length === 0 ? null : Math.round(median(of) / (bytes / 1e9)));
  const requestsPerGb = { first: perGb(requests.map(({ first }) => first)), restore: perGb(requests.map(({ restore }) => restore)) };
  return { ratios, figures: { mbPerSecond, requestsPerGb, rounds } };
}

async function freshArchive(place: StoragePlace): Promise<Omit<StorageJob, 'work'>> {
  const storage = await openStorage(place, { create: true });
  try {
    const { key: repositoryKey } = await createRepository(storage, 'for a bench');
    const { key } = await makeArchive(storage, repositoryKey, SET_ID, 'shop');
    return { place, setId: SET_ID, keyHex: Buffer.from(key).toString('hex') };
  } finally {
    await storage.close?.();
  }
}

async function cleared<T>(run: Run, into: (to: string) => Promise<T>): Promise<T> {
  const to = folder(run, 'laid-down');
  await forgetPageCache();
  try {
    return await into(to);
  } finally {
    rmSync(to, { recursive: true, force: true });
  }
}

/** In a process of its own, as a mover is. */
async function inProcess(job: StorageJob): Promise<StorageDone> {
  return await workOfChild<StorageJob, StorageDone>('storage-node.ts', job);
}
