/** What a sweep keeps: every chunk that a restore point needs, at the place readers will use. */
import type { ArchiveParts } from './archive-parts.ts';
import { holeId, otherPacks, type ChunkId } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import { openChunkMarks, type ChunkMarks } from './chunk-marks.ts';
import { decodeList, listLength } from './file-map.ts';
import { tagBytes } from './keys.ts';
import { plainFrames } from './plain-frames.ts';
import type { Location } from './segment-reader.ts';

export type Kept = { readonly id: ChunkId; readonly place: Location };

/**
 * Marks the chunks of every point; `each` is told of each chunk once. Of several places of a chunk one outside `avoided`
 * is preferred. `nowhere` is told of a chunk that no pack has: nobody knows which others it needs. A point or a map that cannot be read stops
 * the sweep.
 */
export async function markChunks(parts: ArchiveParts, index: ChunkIndex, avoided: ReadonlySet<string>, each: (kept: Kept) => Promise<void>, nowhere: (id: ChunkId) => void): Promise<ChunkMarks> {
  const marks = openChunkMarks();
  const plain = plainFrames({ index, packs: parts.packs, keys: parts.keys }, 0);
  const maps = new Set<string>();

  const isSettled = async (id: ChunkId, place: Location): Promise<boolean> => {
    if (avoided.has(place.pack)) return false;
    if (otherPacks(place.bytes - tagBytes) === 0) return true;
    const header = await parts.packs.readHeader(id, place);
    return header.frames.every((frame) => frame.pack === undefined || (index.hasPack(frame.pack) && !avoided.has(frame.pack)));
  };
  const keep = async (id: ChunkId): Promise<void> => {
    if (id === holeId) return;
    let chosen: Location | undefined;
    for await (const place of index.candidates(id)) {
      if (marks.has(place.pack, place.offset)) return;
      if (await isSettled(id, place)) {
        chosen = place;
        break;
      }
      chosen ??= place;
    }
    if (chosen === undefined) return nowhere(id);
    if (!marks.add(chosen.pack, chosen.offset)) return;
    await each({ id, place: chosen });
  };

  for (const id of await parts.points.ids()) {
    for (const file of (await parts.points.read(id)).files) {
      const key = `${file.bytes} ${file.map.join()}`;
      if (maps.has(key)) continue;
      maps.add(key);
      for (const [at, list] of file.map.entries()) {
        await keep(list);
        for (const chunk of decodeList(await plain.readChunk(list, listLength(file.bytes, at)))) await keep(chunk);
      }
    }
  }
  return marks;
}
