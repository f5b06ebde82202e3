/** Which packs are worth retiring, decided from trailers alone. */
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { ChunkMarks } from './chunk-marks.ts';
import { directoryEntryBytes, emptyPackBytes } from './pack-format.ts';
import type { Trailer } from './pack-store.ts';

/** A pack that is less empty than this is left alone: rewriting costs more than it gives back. */
const leastEmptyShare = 1 / 5;
const smallBytes = 8 << 20;
/** So many small packs are joined to larger ones. */
const fewestSmall = 16;

export type PackUse = { readonly pack: string; readonly bytes: number; readonly liveBytes: number };

/** How many bytes of each pack some marked chunk needs, in its own pack or from another. */
export async function measureUse(parts: ArchiveParts, packs: ReadonlyMap<string, number>, marks: ChunkMarks, signal: AbortSignal | undefined): Promise<PackUse[]> {
  const own = new Map<string, number>();
  const foreign = new Map<string, Map<number, number>>();
  for (const [pack, bytes] of packs) {
    signal?.throwIfAborted();
    if (marks.count(pack) === 0) continue;
    const trailer = await readable(parts.packs.readTrailer(pack, bytes));
    own.set(pack, trailer === undefined ? bytes : ownBytes(trailer, marks, foreign));
  }
  const uses: PackUse[] = [];
  for (const [pack, bytes] of packs) {
    const referred = foreign.get(pack);
    if (referred !== undefined) await withoutOwn(parts, pack, bytes, marks, referred);
    const referredBytes = [...(referred?.values() ?? [])].reduce((sum, size) => sum + size, 0);
    uses.push({ pack, bytes, liveBytes: (own.get(pack) ?? 0) + referredBytes });
  }
  return uses;
}

/** Bytes of the marked chunks' own frames and headers; what they refer to elsewhere goes into `foreign`. */
function ownBytes(trailer: Trailer, marks: ChunkMarks, foreign: Map<string, Map<number, number>>): number {
  let bytes = 0;
  for (const place of trailer.places) {
    if (!marks.has(trailer.pack, place.offset)) continue;
    bytes += place.bytes + directoryEntryBytes;
    for (const frame of trailer.header(place).frames) {
      if (frame.how === 'hole') continue;
      if (frame.pack === undefined) {
        bytes += frame.bytes;
        continue;
      }
      const frames = foreign.get(frame.pack) ?? new Map<number, number>();
      foreign.set(frame.pack, frames.set(frame.offset, frame.bytes));
    }
  }
  return bytes;
}

/** Takes out of `referred` the frames that a marked chunk of the pack itself holds already. */
async function withoutOwn(parts: ArchiveParts, pack: string, bytes: number, marks: ChunkMarks, referred: Map<number, number>): Promise<void> {
  if (marks.count(pack) === 0) return;
  const trailer = await readable(parts.packs.readTrailer(pack, bytes));
  for (const place of trailer?.places ?? []) {
    if (!marks.has(pack, place.offset)) continue;
    for (const frame of trailer!.header(place).frames) if (frame.pack === undefined) referred.delete(frame.offset);
  }
}

export function worthRetiring(uses: readonly PackUse[]): string[] {
  const isWasteful = ({ bytes, liveBytes }: PackUse): boolean => liveBytes === 0 || bytes - emptyPackBytes - liveBytes >= bytes * leastEmptyShare;
  const wasteful = uses.filter(isWasteful);
  const small = uses.filter((use) => use.bytes < smallBytes && !wasteful.includes(use));
  return [...wasteful, ...(small.length >= fewestSmall ? small : [])].map(({ pack }) => pack);
}

/** A pack that cannot be read is left alone: a check reports it. */
async function readable(trailer: Promise<Trailer>): Promise<Trailer | undefined> {
  try {
    return await trailer;
  } catch (error) {
    if (isFailure(error) && error.code.startsWith('repository.pack-')) return undefined;
    throw error;
  }
}
