import { isFailure } from '../base/failure.ts';
import { isOfPlace } from './damage.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { ChunkHeader, ChunkId } from './chunk.ts';
import type { CheckRun } from './check.ts';
import { openLayPool, type LayPool } from './lay-pool.ts';
import type { LayFrame } from './lay-work.ts';
import { lastPart } from './object-names.ts';
import { packHead, packHeadBytes } from './pack-format.ts';
import type { Trailer } from './pack-store.ts';
import { chosenOf } from './slice-of-check.ts';

export type PackFindings = {
  /** Every pack there is, with its size. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Packs whose trailer or bytes cannot be read: what of them can still be used must be proved frame by frame. */
  readonly bad: ReadonlySet<string>;
  /** Frames that are not what was stored: offsets by pack. */
  readonly badFrames: ReadonlyMap<string, ReadonlySet<number>>;
};

type Findings = { sizes: Map<string, number>; bad: Set<string>; badFrames: Map<string, Set<number>> };

const readAtOnce = 4;

export async function packSizes({ storage, names }: ArchiveParts): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, bytes } of storage.list(names.packs)) sizes.set(lastPart(name), bytes);
  return sizes;
}

export async function checkPacks(run: CheckRun, sizes: Map<string, number>): Promise<PackFindings> {
  const { options } = run;
  const found: Findings = { sizes, bad: new Set(), badFrames: new Map() };
  const chosen = chosenOf([...found.sizes.keys()].sort(), options, run.seed);
  const pool = chosen.size === 0 ? undefined : openLayPool(options.workers);
  try {
    const queue = found.sizes.entries();
    const lane = async (): Promise<void> => {
      for (const [pack, bytes] of queue) {
        run.progress(0);
        const trailer = await checkTrailer(run, found, pack, bytes);
        if (trailer !== undefined && pool !== undefined && chosen.has(pack)) await checkFrames(run, found, pool, trailer);
      }
    };
    await Promise.all(Array.from({ length: readAtOnce }, lane));
  } finally {
    await pool?.close();
  }
  return found;
}

async function checkTrailer(run: CheckRun, found: Findings, pack: string, bytes: number): Promise<Trailer | undefined> {
  try {
    const trailer = await run.parts.packs.readTrailer(pack, bytes);
    for (const place of trailer.places) trailer.header(place);
    return trailer;
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    found.bad.add(pack);
    run.damage.push({ object: run.parts.names.pack(pack), what: error.message });
    return undefined;
  }
}

async function checkFrames(run: CheckRun, found: Findings, pool: LayPool, trailer: Trailer): Promise<void> {
  const { pack } = trailer;
  await checkHead(run, found, pack);
  for (const place of trailer.places) {
    let { frames, sealed } = await ownFrames(run, trailer, place.id, trailer.header(place));
    run.progress(sealed?.length ?? 0);
    // The worker names the first bad frame of an order; the others are tried again without it.
    while (sealed !== undefined && frames.length > 0) {
      await pool.room();
      const answer = await pool.run({ fd: undefined, position: 0, bytes: trailer.header(place).bytes, runs: [Uint8Array.from(sealed)], frames });
      if (answer.kind === 'laid') break;
      if (answer.kind === 'failed') throw new Error(answer.why);
      const bad = frames.find((frame) => frame.at === answer.frame)!;
      const offsets = found.badFrames.get(pack) ?? new Set<number>();
      found.badFrames.set(pack, offsets.add(bad.offset));
      run.damage.push({ object: run.parts.names.pack(pack), what: `frame ${bad.at} of chunk ${place.id} is not what was stored` });
      frames = frames.filter((frame) => frame !== bad);
    }
    if (sealed === undefined) {
      found.bad.add(pack);
      return;
    }
  }
}

async function checkHead({ parts, damage }: CheckRun, found: Findings, pack: string): Promise<void> {
  const object = parts.names.pack(pack);
  try {
    if (!packHead(pack).equals(await parts.packs.readFrames(pack, 0, packHeadBytes, ''))) damage.push({ object, what: 'it does not start as it must' });
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    found.bad.add(pack);
    damage.push({ object, what: error.message });
  }
}

/** The frames of a chunk that are in its own pack, and the bytes they are in. */
async function ownFrames(run: CheckRun, trailer: Trailer, id: ChunkId, header: ChunkHeader): Promise<{ frames: LayFrame[]; sealed: Uint8Array | undefined }> {
  const own = header.frames.flatMap((frame, at) => (frame.how === 'hole' || frame.pack !== undefined ? [] : [{ frame, at }]));
  if (own.length === 0) return { frames: [], sealed: new Uint8Array(0) };
  const from = Math.min(...own.map(({ frame }) => frame.offset));
  const end = Math.max(...own.map(({ frame }) => frame.offset + frame.bytes));
  const key = run.parts.keys.pack(trailer.pack);
  const frames = own.map(({ frame, at }) => ({ at, how: frame.how as 'plain' | 'zstd', key, offset: frame.offset, run: 0, from: frame.offset - from, bytes: frame.bytes, hash: frame.hash }));
  try {
    return { frames, sealed: await run.parts.packs.readFrames(trailer.pack, from, end - from, id) };
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    run.damage.push({ object: run.parts.names.pack(trailer.pack), what: error.message });
    return { frames, sealed: undefined };
  }
}
