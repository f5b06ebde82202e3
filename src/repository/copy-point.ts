/**
 * Copies a restore point into another archive of the same set, under another key.
 *
 * The hashes of a chunk's frames stand in its header and have no key, so the id that a chunk has in the target is computed
 * from its header in the source: nothing of a chunk that the target has is read, and of another one only the frames that the
 * chunk at the same place of the point copied before has not.
 *
 *   1. a writer of the target: lease, what may be built on      a kill leaves what a killed backup leaves
 *   2. file by file, chunk by chunk                             packs, found again by the next run
 *   3. what is not the same as in the copy before is read back  proved in the target, by its own headers and hashes
 *   4. the manifest: now the copy exists
 */
import { chunkLength, decodeList, chunkCount, listLength } from './file-map.ts';
import type { Archive } from './archive.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { openChunkIndex } from './chunk-index.ts';
import { hashesOf, holeId, type ChunkId } from './chunk.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveWriter, WriterOptions } from './archive-writer.ts';
import { isOfPlace } from './damage.ts';
import { openLayPool } from './lay-pool.ts';
import { layChunk } from './lay-file.ts';
import { plainFrames, type PlainFrames } from './plain-frames.ts';
import type { CopiedFrom, PointManifest, StoredFile } from './points.ts';

export type PointCopying = WriterOptions & { readonly source: Archive; readonly target: Archive; readonly workers: number; readonly signal?: AbortSignal };

/** What the copy is called, and where it says it is from; nowhere, when a point is made anew from its own copy. */
export type CopyName = { readonly id: string; readonly copiedFrom?: CopiedFrom; readonly replaces?: boolean };

/** The newest point that was copied before, and its original where the source still has it. */
type Base = { readonly copy: PointManifest; readonly original: PointManifest | undefined };

type Run = PointCopying & { readonly from: PlainFrames; readonly to: PlainFrames; readonly writer: ArchiveWriter; readonly base: Base | undefined };

/** Chunks of one file whose place in the target is not known yet. */
const mostAhead = 64;

export async function copyPoint(copying: PointCopying, point: PointManifest, as: CopyName): Promise<PointManifest> {
  const { source, target } = copying;
  const [from, to] = [await openPlain(source.parts), await openPlain(target.parts)];
  const base = as.copiedFrom === undefined ? undefined : await findBase(copying, as.copiedFrom.repository);
  const writer = await target.openWriter(copying);
  try {
    const files: StoredFile[] = [];
    for (const file of point.files) files.push(await copyFile({ ...copying, from, to, writer, base }, file));
    await writer.flush();
    await readBack(copying, files, base, () => copying.onProgress?.(writer.counts));
    const { checkpoint, top, about, createdAtMs } = point;
    const { replaces, ...named } = as;
    return await writer.publish({ ...named, checkpoint, top, about, createdAtMs, files }, { replaces });
  } finally {
    await writer.close();
  }
}

/** The chunks of an archive as plain bytes. Nothing is kept of what is read once. */
export async function openPlain({ storage, keys, names, packs }: ArchiveParts): Promise<PlainFrames> {
  const index = await openChunkIndex(storage, keys, names, packs);
  await index.coverPacks();
  return plainFrames({ index, packs, keys }, 0);
}

async function findBase({ source, target }: PointCopying, repository: string): Promise<Base | undefined> {
  const copy = (await target.points()).findLast(({ copiedFrom }) => copiedFrom?.repository === repository);
  if (copy === undefined) return undefined;
  const original = await source.point(copy.copiedFrom!.point).catch((error: unknown) => {
    // Without it only more headers are read; a manifest that is damaged stops no other point.
    if (!isFailure(error) || isOfPlace(error)) throw error;
    return undefined;
  });
  return { copy, original };
}

export async function mapOf(plain: PlainFrames, file: StoredFile | undefined): Promise<ChunkId[]> {
  const ids: ChunkId[] = [];
  for (const [at, list] of (file?.map ?? []).entries()) ids.push(...decodeList(await plain.readChunk(list, listLength(file!.bytes, at))));
  return ids;
}

/** The same, where a map that cannot be read only costs time. */
async function mapIfThere(plain: PlainFrames, file: StoredFile | undefined): Promise<ChunkId[]> {
  return await mapOf(plain, file).catch((error: unknown) => {
    if (!isFailure(error)) throw error;
    return [];
  });
}

async function copyFile(run: Run, file: StoredFile): Promise<StoredFile> {
  const { from, to, writer, base, signal } = run;
  const isIt = ({ path }: StoredFile): boolean => path === file.path;
  const before = { original: base?.original?.files.find(isIt), copy: base?.copy.files.find(isIt) };
  const [originals, copies] = [await mapIfThere(from, before.original), await mapIfThere(to, before.copy)];
  const chunks = await mapOf(from, file);
  const isComparable = (at: number): boolean => before.copy !== undefined && at < copies.length && chunkLength(before.copy.bytes, at) === chunkLength(file.bytes, at);

  const copyOne = async (at: number): Promise<ChunkId> => {
    const id = chunks[at]!;
    const known = isComparable(at) ? copies[at] : undefined;
    const same = id === holeId ? holeId : originals[at] === id && before.original?.bytes === before.copy?.bytes ? known : undefined;
    if (same !== undefined && (await writer.takeOver(same, chunkLength(file.bytes, at)))) return same;
    const { header } = await from.locate(id);
    const read = async (frames: readonly number[]): Promise<readonly (Buffer | undefined)[]> => await from.readFrames(id, frames);
    return await writer.storeCopied({ bytes: header.bytes, hashes: hashesOf(header), read }, known);
  };
  const ids: Promise<ChunkId>[] = [];
  try {
    for (let at = 0; at < chunkCount(file.bytes); at++) {
      signal?.throwIfAborted();
      run.onProgress?.(writer.counts);
      ids.push(copyOne(at));
      ids[at]!.catch(() => {});
      if (at >= mostAhead) await ids[at - mostAhead];
    }
  } finally {
    await Promise.allSettled(ids);
  }
  return { ...file, map: await writer.storeMap(await Promise.all(ids)) };
}

/** Proves in the target what is not in the copy before, at the same place. */
async function readBack({ target, workers, signal }: PointCopying, files: readonly StoredFile[], base: Base | undefined, goesOn: () => void): Promise<void> {
  const { parts } = target;
  const plain = await openPlain(parts);
  const pool = openLayPool(workers);
  let failed: unknown;
  const proving = new Set<Promise<void>>();
  try {
    for (const file of files) {
      const before = await mapIfThere(plain, base?.copy.files.find(({ path }) => path === file.path));
      for (const [at, id] of (await mapOf(plain, file)).entries()) {
        signal?.throwIfAborted();
        goesOn();
        if (id === holeId || before[at] === id) continue;
        await pool.room();
        const work = layChunk({ packs: parts.packs, keys: parts.keys, plain, pool }, id, { fd: undefined, position: 0, bytes: chunkLength(file.bytes, at) }, target.place)
          .catch((error: unknown) => void (failed ??= error))
          .finally(() => proving.delete(work));
        proving.add(work);
        if (failed !== undefined) throw failed as Error;
      }
    }
    await Promise.all(proving);
    if (failed !== undefined) throw failed as Error;
  } finally {
    await Promise.allSettled(proving);
    await pool.close();
  }
}
