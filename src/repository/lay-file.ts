import { open, type FileHandle } from 'node:fs/promises';
import { isFailure } from '../base/failure.ts';
import { chunkBytes, holeId, type ChunkId } from './chunk.ts';
import { frameDamaged, targetUnwritable } from './failures.ts';
import { chunkLength } from './file-map.ts';
import type { ArchiveKeys } from './keys.ts';
import type { LayPool } from './lay-pool.ts';
import type { LayFrame, LayOrder } from './lay-work.ts';
import type { PackStore } from './pack-store.ts';
import { runsOf, type LocatedChunk, type PlainFrames } from './plain-frames.ts';
import type { StoredFile } from './points.ts';

type Parts = { readonly packs: PackStore; readonly keys: ArchiveKeys; readonly plain: PlainFrames; readonly pool: LayPool };

/** Lays a file down: chunks side by side, holes left out, every frame proved before it is written. `onBytes` ends it by throwing. */
export async function layFile(parts: Parts, file: StoredFile, ids: readonly ChunkId[], to: string, onBytes: (bytes: number) => void): Promise<void> {
  const handle = await open(to, 'w', file.mode & 0o777).catch((error: unknown) => {
    throw targetUnwritable({ path: to, why: String(error) }, error);
  });
  const laying: Promise<void>[] = [];
  const writeBack = writesBack(handle);
  let failed: unknown;
  try {
    await handle.truncate(file.bytes);
    for (const [at, id] of ids.entries()) {
      if (failed !== undefined) break;
      const bytes = chunkLength(file.bytes, at);
      if (id === holeId) {
        onBytes(bytes);
        continue;
      }
      await parts.pool.room();
      const work = layChunk(parts, id, { fd: handle.fd, position: at * chunkBytes, bytes }, to)
        .then(() => {
          writeBack.wrote(bytes);
          onBytes(bytes);
        })
        .catch((error: unknown) => void (failed ??= error));
      laying.push(work);
      if (laying.length >= 256) await laying.shift();
    }
    await Promise.all(laying);
    if (failed !== undefined) throw failed as Error;
    await parts.pool.stages.timed('write', async () => {
      await writeBack.settled();
      await finish(handle, file);
    });
  } catch (error) {
    await Promise.allSettled([...laying, writeBack.settled()]);
    throw isFailure(error) ? error : targetUnwritable({ path: to, why: String(error) }, error);
  } finally {
    await handle.close();
  }
}

/** So much of a file goes to the disk while the next chunks are opened: left to the end, the disk would stand still until then. */
const writtenBackBytes = 64 << 20;

function writesBack(handle: FileHandle): { wrote(bytes: number): void; settled(): Promise<void> } {
  let since = 0;
  let underWay: Promise<void> | undefined;
  return {
    wrote(bytes) {
      since += bytes;
      if (since < writtenBackBytes || underWay !== undefined) return;
      since = 0;
      // What the disk refuses here it refuses the closing sync, too, on Linux once for each handle: so it is kept.
      underWay = handle.datasync().then(() => void (underWay = undefined));
      underWay.catch(() => {});
    },
    settled: async () => await underWay,
  };
}

async function finish(handle: FileHandle, file: StoredFile): Promise<void> {
  await handle.chmod(file.mode & 0o7777);
  await handle.sync();
}

/** Proves a chunk and, where `fd` is given, writes it. The caller has taken a place in the pool with `room`. */
export async function layChunk({ packs, keys, plain, pool }: Parts, id: ChunkId, where: { fd: number | undefined; position: number; bytes: number }, to: string): Promise<void> {
  let ordered = false;
  try {
    await plain.retrying(id, async (chunk) => {
      const order = await pool.stages.timed('read', async () => await orderOf(packs, keys, id, chunk, where));
      if (ordered) await pool.room();
      ordered = true;
      const answer = await pool.run(order);
      if (answer.kind === 'failed') throw targetUnwritable({ path: to, why: answer.why });
      if (answer.kind === 'laid') {
        pool.stages.spend('work', answer.workMs);
        pool.stages.spend('write', answer.writeMs);
      }
      if (answer.kind === 'damaged') throw frameDamaged({ pack: chunk.header.frames[answer.frame]?.pack ?? chunk.pack, chunk: id, frame: answer.frame });
    });
  } finally {
    if (!ordered) pool.leave();
  }
}

async function orderOf(packs: PackStore, keys: ArchiveKeys, id: ChunkId, chunk: LocatedChunk, where: { fd: number | undefined; position: number; bytes: number }): Promise<Omit<LayOrder, 'number'>> {
  const wanted = chunk.header.frames.map((_, at) => at);
  const runs = runsOf(chunk, wanted);
  const sealed = await Promise.all(runs.map(async (run) => await packs.readFrames(run.pack, run.offset, run.bytes, id)));
  const frames: LayFrame[] = runs.flatMap((run, number) =>
    run.frames.map(({ at, frame }) => ({
      at,
      how: frame.how as 'plain' | 'zstd',
      key: keys.pack(run.pack),
      offset: frame.offset,
      run: number,
      from: frame.offset - run.offset,
      bytes: frame.bytes,
      hash: frame.hash,
    })),
  );
  return { ...where, runs: sealed, frames: frames.sort((a, b) => a.at - b.at) };
}
