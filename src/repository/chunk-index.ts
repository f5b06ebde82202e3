/**
 * The index of an archive: all segments in storage, and what is not in a segment yet.
 *
 * It is a hint that can be made again, never the truth: the packs are. So
 *   - a writer lists the packs at its start, believes only entries of packs that are there, and takes up packs that no
 *     segment knows (a killed run left them) from their trailers;
 *   - a reader that misses a chunk or a pack does the same once;
 *   - a damaged segment is left out, which turns its packs into unknown ones.
 */
import { isFailure } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import type { ChunkId } from './chunk.ts';
import { isOfPlace } from './damage.ts';
import { indexDamaged, objectMissing, objectShort } from './failures.ts';
import { encodePackTable, openSegmentBuilder, type PackSize } from './index-segment.ts';
import type { ArchiveKeys } from './keys.ts';
import { lastPart, type ObjectNames } from './object-names.ts';
import type { HeaderPlace } from './pack-format.ts';
import type { PackStore } from './pack-store.ts';
import { openRecent } from './recent.ts';
import { openSegment, type Location, type Segment } from './segment-reader.ts';
import type { Storage } from './storage/storage.ts';

export type IndexProblem = { readonly object: string; readonly what: string };

export type ChunkIndex = {
  readonly segments: readonly Segment[];
  /** Chunks that are in no segment yet. */
  readonly recentCount: number;
  /** Segments and packs that could not be used. */
  readonly problems: readonly IndexProblem[];
  /** Everywhere a chunk is, the newest place first; a place may come twice. */
  candidates(id: ChunkId): AsyncIterable<Location>;
  /** Reads the list of segments again. */
  reload(): Promise<void>;
  /** Lists the packs: from now on only entries of packs that are there count. Takes up packs that no segment knows. */
  coverPacks(): Promise<void>;
  /** Whether a pack was there when packs were last listed, or was added since. */
  hasPack(pack: string): boolean;
  add(pack: PackSize, places: readonly HeaderPlace[]): void;
  /** Writes what is recent as a segment. */
  flush(): Promise<number>;
};

type Held = { segment: Segment; /** By pack number: 1 when the pack is there. Undefined: not looked yet. */ present: Uint8Array | undefined };

/** Plain index blocks in memory: 16 MiB. */
const blocksKept = 4096;

export async function openChunkIndex(storage: Storage, keys: ArchiveKeys, names: ObjectNames, packs: PackStore): Promise<ChunkIndex> {
  const cache = openRecent<Buffer>(blocksKept);
  let held: Held[] = [];
  let problems: IndexProblem[] = [];
  const refused = new Set<string>();
  const recent = new Map<ChunkId, Location>();
  const recentPacks = new Map<string, number>();

  /** A segment that vanished was merged away; a damaged one is left alone from now on. */
  const drop = (name: string, error: unknown): void => {
    if (isFailure(error, objectMissing)) return;
    if (!isFailure(error, indexDamaged) && !isFailure(error, objectShort)) throw error;
    refused.add(name);
    problems.push({ object: name, what: error.message });
  };

  const reload = async (): Promise<void> => {
    const known = new Map(held.map((one) => [one.segment.name, one]));
    const next: Held[] = [];
    for await (const { name, bytes } of storage.list(names.index)) {
      if (refused.has(name)) continue;
      const before = known.get(name);
      if (before !== undefined) {
        next.push(before);
        continue;
      }
      const id = lastPart(name);
      try {
        next.push({ segment: await openSegment(storage, keys.index(id), id, name, bytes, cache), present: undefined });
      } catch (error) {
        drop(name, error);
      }
    }
    held = next;
  };

  const takeUp = async (pack: string, bytes: number): Promise<void> => {
    try {
      const trailer = await packs.readTrailer(pack, bytes);
      recentPacks.set(pack, bytes);
      for (const place of trailer.places) recent.set(place.id, { pack, packBytes: bytes, offset: place.offset, bytes: place.bytes });
    } catch (error) {
      if (!isFailure(error) || isOfPlace(error)) throw error;
      problems.push({ object: names.pack(pack), what: error.message });
    }
  };

  const coverPacks = async (): Promise<void> => {
    const before = [...recentPacks.keys()];
    const looked = held.map((one) => ({ one, present: new Uint8Array(one.segment.packs) }));
    const there = new Set<string>();
    for await (const { name, bytes } of storage.list(names.packs)) {
      const pack = lastPart(name);
      let isKnown = recentPacks.has(pack);
      if (recentPacks.get(pack) === bytes) there.add(pack);
      for (const { one, present } of looked) {
        const number = one.segment.packNumber(pack);
        if (number < 0) continue;
        // One that was cut off has lost its headers, which stand at its end: it counts as gone.
        if (one.segment.packAt(number).bytes === bytes) present[number] = 1;
        isKnown = true;
      }
      if (!isKnown) await takeUp(pack, bytes);
    }
    for (const { one, present } of looked) one.present = present;
    for (const pack of before) if (!there.has(pack)) recentPacks.delete(pack);
  };

  async function* candidates(id: ChunkId): AsyncGenerator<Location> {
    const near = recent.get(id);
    if (near !== undefined && recentPacks.has(near.pack)) yield near;
    const wanted = Buffer.from(id, 'hex');
    for (const one of [...held].reverse()) {
      const found = await one.segment.find(wanted).catch((error: unknown) => drop(one.segment.name, error));
      if (found === undefined) {
        held = held.filter((other) => other !== one);
        await reload();
        await coverPacks();
        yield* candidates(id);
        return;
      }
      for (const { pack: number, offset, bytes } of found) {
        const pack = one.segment.packAt(number);
        if (one.present === undefined || one.present[number] === 1) yield { pack: pack.id, packBytes: pack.bytes, offset, bytes };
      }
    }
  }

  const flush = async (): Promise<number> => {
    const entries = [...recent].filter(([, at]) => recentPacks.has(at.pack)).sort(([a], [b]) => (a < b ? -1 : 1));
    const written = [...recentPacks].map(([pack, bytes]) => ({ id: pack, bytes }));
    if (entries.length === 0) return 0;
    const { segment, bytes } = await writeSegment(entries, written);
    held.push({ segment, present: new Uint8Array(segment.packs).fill(1) });
    for (const [chunk, at] of entries) if (recent.get(chunk) === at) recent.delete(chunk);
    for (const pack of written) recentPacks.delete(pack.id);
    return bytes;
  };

  const writeSegment = async (entries: readonly [ChunkId, Location][], written: readonly PackSize[]): Promise<{ segment: Segment; bytes: number }> => {
    const id = randomId();
    const name = names.segment(id);
    const numbers = new Map(written.map((pack) => pack.id).sort().map((pack, number) => [pack, number]));
    const writer = await storage.create(name);
    try {
      const builder = await openSegmentBuilder(writer, id, keys.index(id), encodePackTable(written));
      for (const [chunk, at] of entries) builder.add(Buffer.from(chunk, 'hex'), 0, numbers.get(at.pack)!, at.offset, at.bytes);
      const { bytes } = await builder.finish();
      return { segment: await openSegment(storage, keys.index(id), id, name, bytes, cache), bytes };
    } catch (error) {
      await writer.abort();
      throw error;
    }
  };

  await reload();
  return {
    get segments() {
      return held.map((one) => one.segment);
    },
    get recentCount() {
      return recent.size;
    },
    get problems() {
      return problems;
    },
    candidates,
    reload,
    coverPacks,
    hasPack: (pack) => {
      if (recentPacks.has(pack)) return true;
      return held.some(({ segment, present }) => {
        const number = segment.packNumber(pack);
        return number >= 0 && (present === undefined || present[number] === 1);
      });
    },
    add(pack, places) {
      recentPacks.set(pack.id, pack.bytes);
      for (const place of places) recent.set(place.id, { pack: pack.id, packBytes: pack.bytes, offset: place.offset, bytes: place.bytes });
    },
    flush,
  };
}
