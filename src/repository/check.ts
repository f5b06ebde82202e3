/**
 * Check: proves that an archive is whole, and names what is hurt when it is not. It repairs nothing; what it leaves behind
 * is one object that names the packs with damage, so that later backups do not build on them (distrusted.ts).
 *
 *   1. index     every block of every segment opens
 *   2. packs     every trailer opens: directory and headers; with `readDataPercent` or a slice every frame of that share of packs
 *   3. points    every manifest, every map, every chunk: in the index, in a sound pack, and so is all it refers to
 *   4. oplog     every chain from its start: names, headers, hash chain; with `readDataPercent` blocks as well
 *
 * A chunk that is damaged in one place and sound in another is damage, and hurts nobody.
 */
import type { ClusterTime } from '../base/cluster-time.ts';
import { systemClock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { ChunkId } from './chunk.ts';
import { openChunkMarks } from './chunk-marks.ts';
import { openChunkIndex, type ChunkIndex } from './chunk-index.ts';
import { checkOplog } from './check-oplog.ts';
import { checkPacks, packSizes, type PackFindings } from './check-packs.ts';
import { checkPoints } from './check-points.ts';
import { isOfPlace, type Damage } from './damage.ts';
import { distrust } from './distrusted.ts';
import { randomSeed } from './sample.ts';
import type { CheckSlice } from './slice-of-check.ts';

export type CheckOptions = {
  /** 0: structure only. */
  readonly readDataPercent: number;
  /** In place of a share by chance: these packs, and these slices of oplog. */
  readonly slice?: CheckSlice | undefined;
  /** Chooses the packs and slices that are read; the same seed chooses the same. */
  readonly seed?: number;
  readonly workers?: number;
  /** Called very often, also where nothing was read: a check that goes on is never silent. */
  readonly onProgress?: (readBytes: number) => void;
  readonly signal?: AbortSignal;
};

export type CheckReport = {
  ok: boolean;
  points: number;
  chunks: number;
  packs: number;
  readBytes: number;
  damage: Damage[];
  hurtPoints: string[];
  hurtOplog: { after: ClusterTime; through: ClusterTime }[];
};

/** What the parts of a check share. */
export type CheckRun = {
  readonly parts: ArchiveParts;
  readonly options: CheckOptions & { readonly workers: number };
  readonly seed: number;
  readonly damage: Damage[];
  /** Counts bytes read, and stops when asked to. */
  readonly progress: (bytes: number) => void;
};

export async function checkArchive(parts: ArchiveParts, options: CheckOptions & { readonly workers: number }): Promise<CheckReport> {
  return (await inspectArchive(parts, options)).report;
}

/** `lost`: chunks of points that are nowhere whole. `packs`: what was found of the packs themselves. */
export type Inspection = { readonly report: CheckReport; readonly lost: ReadonlySet<ChunkId>; readonly packs: PackFindings };

/** With `known`, packs are not read again: what was found of them before counts, and those that came since are taken for sound. */
export async function inspectArchive(parts: ArchiveParts, options: CheckOptions & { readonly workers: number }, known?: PackFindings): Promise<Inspection> {
  let readBytes = 0;
  const damage: Damage[] = [];
  const progress = (bytes: number): void => {
    options.signal?.throwIfAborted();
    readBytes += bytes;
    options.onProgress?.(readBytes);
  };
  const run: CheckRun = { parts, options, seed: options.seed ?? randomSeed(), damage, progress };
  const index = await openChunkIndex(parts.storage, parts.keys, parts.names, parts.packs);
  await checkIndex(run, index);
  await index.coverPacks();
  const packs: PackFindings = known === undefined ? await checkPacks(run) : { ...known, sizes: await packSizes(parts) };
  damage.push(...index.problems.filter(({ object }) => !damage.some((known) => known.object === object)));
  const marks = openChunkMarks();
  const { points, hurtPoints, lost } = await checkPoints(run, index, packs, marks);
  const hurtOplog = await checkOplog(run);
  await distrustDamaged(run, packs);
  const report = { ok: damage.length === 0, points, chunks: marks.size, packs: packs.sizes.size, readBytes, damage, hurtPoints, hurtOplog };
  return { report, lost, packs };
}

/** A repository that cannot be written to is checked all the same. */
async function distrustDamaged(run: CheckRun, { bad, badFrames }: PackFindings): Promise<void> {
  try {
    const unread = await distrust(run.parts, new Set([...bad, ...badFrames.keys()]), systemClock);
    run.damage.push(...unread);
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    run.damage.push({ object: run.parts.names.distrustedAll, what: `backups may go on building on damaged packs: ${error.message}` });
  }
}

async function checkIndex(run: CheckRun, index: ChunkIndex): Promise<void> {
  for (const segment of index.segments) {
    try {
      for await (const _ of segment.runs()) run.progress(0);
    } catch (error) {
      if (!isFailure(error) || isOfPlace(error)) throw error;
      run.damage.push({ object: segment.name, what: error.message });
    }
  }
}
