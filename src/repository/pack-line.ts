/**
 * The packs a writer fills: one for each worker, and some on their way to the disk.
 *
 *   filling ── full, or `finishAll` ──▶ draining ── last chunk appended ──▶ finishing ── fsync, rename ──▶ in the index
 *
 * A pack that is being finished does not stop the next one from being filled; but no more than two are finished at a
 * time, so a slow disk holds the workers up and not the memory.
 */
import { randomId } from '../base/ids.ts';
import type { ChunkHeader, ChunkId } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import type { ArchiveKeys } from './keys.ts';
import type { ObjectNames } from './object-names.ts';
import { openPack, type OpenPack } from './open-pack.ts';
import type { Storage } from './storage/storage.ts';
import type { StoreSlot } from './store-pool.ts';

const mostFinishing = 2;
/** Packs of many small chunks end before their trailer grows large. */
const mostChunks = 8192;

/** A pack with the chunks that are on their way into it. */
export type Filling = { readonly pack: OpenPack; pending: number; full: boolean };

export type PackLine = {
  /** Finds the pack for frames of this slot and orders them sealed for it in the same breath, so that orders keep their packs. */
  enter<T>(slot: StoreSlot, order: () => Promise<T>): Promise<{ filling: Filling; ordered: Promise<T> }>;
  /** The chunk is in its pack, or will never be. */
  leave(filling: Filling): void;
  /** The header of a chunk that is in a pack not finished yet, and that pack. */
  find(id: ChunkId): { pack: string; header: ChunkHeader } | undefined;
  /** Every pack durable and in the index. */
  finishAll(): Promise<void>;
  abort(): Promise<void>;
};

export function openPackLine(
  parts: { storage: Storage; keys: ArchiveKeys; names: ObjectNames; index: ChunkIndex },
  options: { packBytes: number; onPack: (pack: string, bytes: number) => void; onFailure: (error: unknown) => void },
): PackLine {
  const { storage, keys, names, index } = parts;
  const filling = new Map<number, Promise<Filling>>();
  const live = new Set<Filling>();
  const finishing = new Set<Promise<void>>();

  const begin = async (slot: StoreSlot): Promise<Filling> => {
    while (finishing.size >= mostFinishing) await Promise.race(finishing);
    const pack = await openPack(storage, keys, names, randomId());
    slot.startPack(pack.key);
    const fresh = { pack, pending: 0, full: false };
    live.add(fresh);
    return fresh;
  };

  const finish = async (one: Filling): Promise<void> => {
    try {
      if (one.pack.chunks === 0) {
        await one.pack.abort();
      } else {
        const { bytes, places } = await one.pack.finish();
        index.add({ id: one.pack.id, bytes }, places);
        options.onPack(one.pack.id, bytes);
      }
    } catch (error) {
      await one.pack.abort().catch(() => {});
      options.onFailure(error);
    } finally {
      live.delete(one);
    }
  };

  const finishWhenDrained = (one: Filling): void => {
    if (!one.full || one.pending > 0) return;
    const work = finish(one).finally(() => finishing.delete(work));
    finishing.add(work);
  };

  const close = (worker: number, one: Filling): void => {
    if (one.full) return;
    one.full = true;
    filling.delete(worker);
    finishWhenDrained(one);
  };

  return {
    async enter(slot, order) {
      for (;;) {
        let started = filling.get(slot.worker);
        if (started === undefined) {
          started = begin(slot);
          filling.set(slot.worker, started);
          started.catch(() => filling.delete(slot.worker));
        }
        const one = await started;
        if (one.full) continue;
        if (one.pack.bytes < options.packBytes && one.pack.chunks < mostChunks) {
          one.pending += 1;
          return { filling: one, ordered: order() };
        }
        close(slot.worker, one);
      }
    },
    leave(one) {
      one.pending -= 1;
      finishWhenDrained(one);
    },
    find(id) {
      for (const one of live) {
        const header = one.pack.header(id);
        if (header !== undefined) return { pack: one.pack.id, header };
      }
      return undefined;
    },
    async finishAll() {
      for (const [worker, started] of [...filling]) close(worker, await started);
      while (live.size > 0) {
        if (finishing.size === 0) throw new Error('chunks are still on their way into a pack');
        await Promise.race(finishing);
      }
      while (finishing.size > 0) await Promise.race(finishing);
    },
    async abort() {
      for (const one of live) await one.pack.abort();
      live.clear();
    },
  };
}
