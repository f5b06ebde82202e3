/**
 * Check: proves that an archive is whole, and names what is hurt when it is not. It repairs nothing; what it leaves behind
 * is one object that names the packs with damage, so that later backups do not build on them (distrusted.ts).
 *
 *   1. which points there are   before all else: what they need is on every later list of packs
 *   2. index     every block of every segment opens
 *   3. packs     listed; every trailer opens: directory and headers; with `readDataPercent` or a slice every frame of that share of packs
 *   4. points    every manifest, every map, every chunk: in the index, in a sound pack, and so is all it refers to
 *   5. oplog     every chain from its start: names, headers, hash chain; with `readDataPercent` blocks as well
 *
 * A chunk that is damaged in one place and sound in another is damage, and hurts nobody.
 *
 * It holds no lease: backups publish, sweeps move and retention deletes while it reads. Points that came since 1 are not looked at. A
 * point that seems hurt is looked at again, by new lists, as long as packs have gone since the last ones. What is gone when all was
 * looked at was not damaged.
 */
import type { ClusterTime } from '../base/cluster-time.ts';
import { systemClock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { ChunkId } from './chunk.ts';
import { openChunkMarks, type ChunkMarks } from './chunk-marks.ts';
import { openChunkIndex, type ChunkIndex } from './chunk-index.ts';
import { checkOplog } from './check-oplog.ts';
import { checkPacks, packSizes, type PackFindings } from './check-packs.ts';
import { checkPoints, checkProofs, type PointFindings } from './check-points.ts';
import { isOfPlace, type Damage } from './damage.ts';
import { distrust } from './distrusted.ts';
import { awaitUnlisted } from './fresh-list.ts';
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
  const ids = await parts.points.ids();
  const index = await openChunkIndex(parts.storage, parts.keys, parts.names, parts.packs);
  await checkIndex(run, index);
  const sizes = await packSizes(parts);
  await index.coverPacks();
  const seen: PackFindings = known === undefined ? await checkPacks(run, sizes) : { ...known, sizes };
  const marks = openChunkMarks();
  const points = await lookAtPoints(run, index, seen, ids, marks);
  const told = new Set(damage.map(({ object }) => object));
  damage.push(...new Map(index.problems.flatMap((problem) => (told.has(problem.object) ? [] : [[problem.object, problem] as const]))).values(), ...points.damage);
  await checkProofs(run, ids.filter((id) => !points.gone.has(id)));
  const packs = await dropGone(run, { ...seen, sizes: points.sizes });
  const hurtOplog = await checkOplog(run);
  await distrustDamaged(run, packs);
  const report = { ok: damage.length === 0, points: ids.length - points.gone.size, chunks: marks.size, packs: packs.sizes.size, readBytes, damage, hurtPoints: points.hurt, hurtOplog };
  return { report, lost: points.lost, packs };
}

/** More sweeps than this do not end during one check. */
const mostLooks = 8;

async function lookAtPoints(run: CheckRun, index: ChunkIndex, packs: PackFindings, ids: readonly string[], marks: ChunkMarks): Promise<PointFindings & Pick<PackFindings, 'sizes'>> {
  const { parts, options } = run;
  let { sizes } = packs;
  let found = await checkPoints(run, index, packs, ids, marks);
  for (let look = 1; look < mostLooks && found.hurt.length > 0; look++) {
    await awaitUnlisted(parts.storage, [...found.missing].map(parts.names.pack), { ...(options.signal !== undefined && { signal: options.signal }) });
    const before = sizes;
    sizes = await packSizes(parts);
    // All that these points need stood there all the time.
    if ([...before.keys()].every((pack) => sizes.has(pack))) break;
    await index.reload();
    await index.coverPacks();
    const again = await checkPoints(run, index, { ...packs, sizes }, found.hurt, marks);
    found = { ...again, gone: new Set([...found.gone, ...again.gone]) };
  }
  return { ...found, sizes };
}

/** Asked for by their names: a list may be older. */
async function dropGone({ parts, damage }: CheckRun, { sizes, bad, badFrames }: PackFindings): Promise<PackFindings> {
  const { storage, names } = parts;
  const gone = new Set<string>();
  const mayGo = [names.packs, names.index, names.points].flatMap((prefix) => damage.flatMap(({ object }) => (object.startsWith(prefix) && object !== prefix ? [object] : [])));
  for (const object of new Set([...mayGo, ...[...bad, ...badFrames.keys()].map(names.pack)])) if ((await storage.stat(object)) === undefined) gone.add(object);
  damage.splice(0, damage.length, ...damage.filter(({ object }) => !gone.has(object)));
  const isThere = (pack: string): boolean => !gone.has(names.pack(pack));
  return { sizes, bad: new Set([...bad].filter(isThere)), badFrames: new Map([...badFrames].filter(([pack]) => isThere(pack))) };
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
