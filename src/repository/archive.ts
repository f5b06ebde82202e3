/** The archive of one replica set: its restore points, their chunks, and its oplog. */
import { availableParallelism } from 'node:os';
import type { About } from './archive-about.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { openArchiveReader, type ArchiveReader, type ReaderOptions } from './archive-reader.ts';
import { openArchiveWriter, type ArchiveWriter, type WriterOptions } from './archive-writer.ts';
import { checkArchive, type CheckOptions, type CheckReport } from './check.ts';
import type { Damage } from './damage.ts';
import { archiveMissing, keyWrong, objectDamaged, objectMissing } from './failures.ts';
import { keysOf } from './keys.ts';
import { objectNames } from './object-names.ts';
import { openOplogArchive, type OplogArchive } from './oplog-archive.ts';
import { packStore } from './pack-store.ts';
import { pointStore, type HurtPoint, type PointManifest } from './points.ts';
import { openObject } from './sealed-object.ts';
import type { Storage } from './storage/storage.ts';
import { sweepArchive, type SweepOptions, type SweepReport } from './sweep.ts';
import { isFailure } from '../base/failure.ts';

export type { ArchiveReader, OpenedFile, ReaderOptions } from './archive-reader.ts';
export type { ByteRange } from './chunk.ts';
export type { Stage } from './stages.ts';
export type { ArchiveWriter, FileToStore, PointToPublish, WriterOptions, WriterProgress } from './archive-writer.ts';
export type { CheckReport } from './check.ts';
export type { Level } from './frame-codec.ts';
export type { Barrier, Chain, ChainStart, ChainWriter, OplogArchive, OplogBatch } from './oplog-archive.ts';
export { holesOf, type Hole } from './oplog-runs.ts';
export type { Damage } from './damage.ts';
export type { CopiedFrom, HurtPoint, PointManifest, StoredFile } from './points.ts';
export type { SweepReport } from './sweep.ts';

export type Archive = {
  readonly setId: string;
  readonly setName: string;
  /** Of its storage, for messages. */
  readonly place: string;
  /** Of its storage; null where that does not say. */
  freeBytes(): Promise<number | null>;
  openWriter(options: WriterOptions): Promise<ArchiveWriter>;
  openReader(options?: ReaderOptions): Promise<ArchiveReader>;
  /** Newest last; a point whose manifest is damaged is among `hurt`. */
  survey(): Promise<{ points: PointManifest[]; hurt: HurtPoint[] }>;
  /** Those that can be read, newest last. */
  points(): Promise<PointManifest[]>;
  point(id: string): Promise<PointManifest>;
  /** Its space comes back at the next sweep. An absent point is fine. */
  deletePoint(id: string): Promise<void>;
  recordProof(id: string, proof: unknown): Promise<void>;
  /** Oldest first; a record that cannot be read proves nothing. */
  proofs(id: string): Promise<{ proofs: unknown[]; damaged: Damage[] }>;
  readonly oplog: OplogArchive;
  /** For the rest of this room: what copies and repairs work with. */
  readonly parts: ArchiveParts;
  check(options: CheckOptions): Promise<CheckReport>;
  sweep(options?: SweepOptions): Promise<SweepReport>;
};

/** More threads than this wait for the disk, not for each other. */
const mostWorkers = 8;

export function usualWorkers(): number {
  return Math.min(mostWorkers, Math.max(1, availableParallelism()));
}

export async function openArchive(storage: Storage, setId: string, archiveKey: Uint8Array): Promise<Archive> {
  const keys = keysOf(archiveKey);
  const names = objectNames(setId);
  const { setName } = await readAbout(storage, setId, keys.object, names.about);
  const points = pointStore(storage, keys.object, names, setId);
  const parts: ArchiveParts = { setId, storage, keys, names, points, packs: packStore(storage, keys, names) };
  const workers = usualWorkers();
  return {
    setId,
    setName,
    place: storage.place,
    freeBytes: async () => await storage.freeBytes(),
    openWriter: async (options) => await openArchiveWriter(parts, { ...options, workers: options.workers ?? workers }),
    openReader: async (options = {}) => await openArchiveReader(parts, { ...options, workers: options.workers ?? workers }),
    survey: points.all,
    points: async () => (await points.all()).points,
    point: points.read,
    deletePoint: points.delete,
    recordProof: points.recordProof,
    proofs: points.proofs,
    oplog: openOplogArchive(parts),
    parts,
    check: async (options) => await checkArchive(parts, { workers, ...options }),
    sweep: async (options = {}) => await sweepArchive(parts, options),
  };
}

async function readAbout(storage: Storage, setId: string, objectKey: Uint8Array, name: string): Promise<About> {
  try {
    return openObject(objectKey, name, await storage.read(name)) as About;
  } catch (error) {
    if (isFailure(error, objectMissing)) throw archiveMissing({ setId, place: storage.place }, error);
    if (isFailure(error, objectDamaged)) throw keyWrong({ setId, place: storage.place }, error);
    throw error;
  }
}
