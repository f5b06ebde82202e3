/** Reading a chain: the way through its slices by their names, then each slice proved against the one before. */
import { compareTimes, sameTime, showTime, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { objectMissing, objectShort, oplogDamaged, oplogGap } from './failures.ts';
import { dayOf, lastPart } from './object-names.ts';
import { chainRoot, isSameEntry, readChain, type StoredChain } from './oplog-chain.ts';
import { openCut } from './oplog-cuts.ts';
import { entryTimes } from './oplog-entry-time.ts';
import { headGuessBytes, openSliceBlock, openSliceHeader, parseSliceName, sliceHeaderBytes, type OpenedSlice, type OplogBatch, type SliceBlock, type SliceHeader, type SliceName } from './oplog-slice.ts';
import type { Storage } from './storage/storage.ts';

/** Slices whose names start so, in order. */
export async function listUnder({ storage }: { readonly storage: Pick<Storage, 'list'> }, prefix: string): Promise<SliceName[]> {
  const found: SliceName[] = [];
  for await (const { name, bytes } of storage.list(prefix)) {
    const slice = parseSliceName(name, bytes);
    if (slice !== undefined) found.push(slice);
  }
  return found.sort(inOrder);
}

export function inOrder(a: SliceName, b: SliceName): number {
  return compareTimes(a.after, b.after) || compareTimes(a.through, b.through);
}

/** The slices of a chain, and the cuts that stand for others, in order. */
export async function listParts(parts: ArchiveParts, chain: string): Promise<SliceName[]> {
  return [...(await listUnder(parts, parts.names.cuts(chain))), ...(await listUnder(parts, parts.names.slices(chain)))].sort(inOrder);
}

/** How somebody lists the slices and cuts of a chain. */
export type ListChain = (chain: string) => Promise<SliceName[]>;

/** Each chain once, for two who look at the same. */
export function listOnce(parts: ArchiveParts): ListChain {
  const known = new Map<string, Promise<SliceName[]>>();
  return async (chain) => {
    const listed = known.get(chain) ?? listParts(parts, chain);
    known.set(chain, listed);
    return [...(await listed)];
  };
}

/** The slices and cuts of a chain that continue one another from its start; what a killed writer left beside them is not among them. */
export async function listSlices(parts: ArchiveParts, chain: string): Promise<SliceName[]> {
  const { start } = await readChain(parts, chain);
  return wayFrom(await listParts(parts, chain), start.after, undefined);
}

/** Every slice and cut there is, by chain: of chains without a start as well. */
export async function listAllSlices(parts: ArchiveParts): Promise<Map<string, SliceName[]>> {
  const chains = new Map<string, SliceName[]>();
  for await (const { name } of parts.storage.list(parts.names.chains)) chains.set(lastPart(name), []);
  for (const slice of await listUnder(parts, parts.names.oplog)) {
    const chain = slice.name.slice(parts.names.oplog.length).split('/')[0]!;
    if (!slice.name.startsWith(parts.names.slices(chain)) && !slice.name.startsWith(parts.names.cuts(chain))) continue;
    const known = chains.get(chain);
    if (known === undefined) chains.set(chain, [slice]);
    else known.push(slice);
  }
  return chains;
}

/**
 * From a moment, slice by slice, each starting where the one before ends. Of two that start at the same moment the one
 * that leads on is taken; else the longer one. A cut and a merged slice come before what they stand for, which may be there in part.
 */
export function wayFrom(slices: readonly SliceName[], after: ClusterTime, through: ClusterTime | undefined): SliceName[] {
  const starting = new Map<string, SliceName[]>();
  for (const slice of slices) {
    const key = showTime(slice.after);
    starting.set(key, [...(starting.get(key) ?? []), slice]);
  }
  const way: SliceName[] = [];
  for (let at = after; through === undefined || compareTimes(at, through) < 0; ) {
    const next = starting.get(showTime(at));
    const chosen = next?.findLast(({ isCut }) => isCut) ?? next?.findLast(({ isMerged }) => isMerged) ?? next?.findLast((slice) => starting.has(showTime(slice.through))) ?? next?.at(-1);
    if (chosen === undefined || compareTimes(chosen.through, at) <= 0) break;
    way.push(chosen);
    at = chosen.through;
  }
  return way;
}

/** The slices that hold (after, through], found by day. */
async function findSlices(parts: ArchiveParts, chain: string, stored: StoredChain, after: ClusterTime, through: ClusterTime): Promise<SliceName[]> {
  const gap = (): Error => oplogGap({ chain, after: showTime(after), through: showTime(through) });
  if (compareTimes(after, stored.start.after) < 0) throw gap();
  const firstDay = dayOf(stored.start.after.t);
  const listDay = async (day: number): Promise<SliceName[]> => await listUnder(parts, parts.names.day(chain, day));
  let found: SliceName[] = [];
  let entrances: SliceName[] = [];
  for (let day = dayOf(after.t); day >= firstDay && entrances.length === 0; day--) {
    found = [...(await listDay(day)), ...found];
    entrances = found.filter((slice) => compareTimes(slice.after, after) <= 0 && compareTimes(slice.through, after) > 0);
  }
  for (let day = dayOf(after.t) + 1; day <= dayOf(through.t); day++) found.push(...(await listDay(day)));
  const merged = entrances.filter(({ isMerged }) => isMerged);
  for (const entrance of [...merged, ...entrances.filter(({ isMerged }) => !isMerged).reverse()]) {
    const way = [entrance, ...wayFrom(found, entrance.through, through)];
    if (compareTimes(way.at(-1)!.through, through) >= 0) return way;
  }
  throw gap();
}

export async function openSlice(parts: ArchiveParts, chain: string, slice: SliceName): Promise<OpenedSlice> {
  const head = await readPart(parts, chain, slice, 0, Math.min(slice.bytes, headGuessBytes));
  const wanted = sliceHeaderBytes(chain, slice.name, head);
  const whole = wanted <= head.length ? head : await readPart(parts, chain, slice, 0, wanted);
  const opened = openSliceHeader(parts.keys, chain, slice.name, whole);
  const { header, bodiesAt } = opened;
  const last = header.blocks.at(-1);
  if (last === undefined || bodiesAt + last.offset + last.bytes !== slice.bytes) throw oplogDamaged({ chain, slice: lastPart(slice.name), what: 'it is longer or shorter than it was' });
  if (!sameTime(header.after, slice.after) || !sameTime(header.through, slice.through)) throw oplogDamaged({ chain, slice: lastPart(slice.name), what: 'it has the name of another' });
  return opened;
}

export async function readPart({ storage }: ArchiveParts, chain: string, slice: SliceName, from: number, bytes: number): Promise<Buffer> {
  try {
    const got = await storage.read(slice.name, { from, bytes });
    return Buffer.from(got.buffer, got.byteOffset, got.length);
  } catch (error) {
    const isGone = isFailure(error, objectMissing) || isFailure(error, objectShort);
    throw isGone ? oplogDamaged({ chain, slice: lastPart(slice.name), what: error.message }, error) : error;
  }
}

export async function readBlock(parts: ArchiveParts, chain: string, slice: SliceName, opened: OpenedSlice, index: number): Promise<Buffer> {
  const block = opened.header.blocks[index]!;
  const sealed = await readPart(parts, chain, slice, opened.bodiesAt + block.offset, block.bytes);
  return openSliceBlock(opened, chain, slice.name, index, sealed);
}

/** What a slice or a cut says of its place in the chain. */
export type Link = { readonly header: Pick<SliceHeader, 'after' | 'through' | 'previous'>; readonly hash: string };

export async function openLink(parts: ArchiveParts, chain: string, slice: SliceName): Promise<Link> {
  return slice.isCut ? await openCut(parts, chain, slice.name) : await openSlice(parts, chain, slice);
}

/** Fails unless `slice` is what comes next behind `before`, or behind the chain's start. */
export function requireFollowing(chain: string, stored: StoredChain, slice: SliceName, opened: Link, before: Link | undefined): void {
  const { header } = opened;
  const isFirst = sameTime(header.after, stored.start.after);
  const expected = before === undefined ? (isFirst ? { after: stored.start.after, hash: chainRoot(chain, stored) } : undefined) : { after: before.header.through, hash: before.hash };
  if (expected === undefined) return;
  if (!isSameEntry(header.after, expected.after) || header.previous !== expected.hash) {
    throw oplogDamaged({ chain, slice: lastPart(slice.name), what: 'it does not continue the one before it' });
  }
}

/** A slice that went while this was at work is in a merged one: it is looked for again behind what was read, once for each slice. */
export async function* readEntries(parts: ArchiveParts, chain: string, after: ClusterTime, through: ClusterTime): AsyncGenerator<OplogBatch> {
  const stored = await readChain(parts, chain);
  const gone = new Set<string>();
  let at = after;
  for (;;) {
    try {
      for await (const batch of readWay(parts, chain, stored, at, through)) {
        yield batch;
        at = batch.last;
      }
      return;
    } catch (error) {
      const name = goneSlice(error);
      if (name === undefined || gone.has(name)) throw error;
      gone.add(name);
    }
  }
}

/** The slice that a list had and that was not there any more. */
export function goneSlice(error: unknown): string | undefined {
  return isFailure(error, oplogDamaged) && isFailure(error.cause, objectMissing) ? String(error.details['slice']) : undefined;
}

async function* readWay(parts: ArchiveParts, chain: string, stored: StoredChain, after: ClusterTime, through: ClusterTime): AsyncGenerator<OplogBatch> {
  if (compareTimes(after, through) >= 0) return;
  let before: OpenedSlice | undefined;
  for (const slice of await findSlices(parts, chain, stored, after, through)) {
    const opened = await openSlice(parts, chain, slice);
    requireFollowing(chain, stored, slice, opened, before);
    yield* entriesOf(parts, chain, slice, opened, after, through);
    before = opened;
  }
}

/** What a slice has of (after, through]. */
export async function* entriesOf(parts: ArchiveParts, chain: string, slice: SliceName, opened: OpenedSlice, after: ClusterTime, through: ClusterTime): AsyncGenerator<OplogBatch> {
  for (const [index, block] of opened.header.blocks.entries()) {
    if (compareTimes(block.last, after) <= 0 || compareTimes(block.first, through) > 0) continue;
    const bytes = await readBlock(parts, chain, slice, opened, index);
    const isInside = compareTimes(block.first, after) > 0 && compareTimes(block.last, through) <= 0;
    const batch = isInside ? { first: block.first, last: block.last, count: block.count, bytes } : cut(chain, slice, block, bytes, after, through);
    if (batch !== undefined) yield batch;
  }
}

/** The entries of a block that are in (after, through]. */
function cut(chain: string, slice: SliceName, block: SliceBlock, bytes: Buffer, after: ClusterTime, through: ClusterTime): OplogBatch | undefined {
  const entries = entryTimes(bytes);
  if (entries === undefined) throw oplogDamaged({ chain, slice: lastPart(slice.name), what: `its block from ${showTime(block.first)} is not made of oplog entries` });
  const inside = entries.filter(({ at }) => compareTimes(at, after) > 0 && compareTimes(at, through) <= 0);
  const [first, last] = [inside[0], inside.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  return { first: { ...first.at, term: first.term }, last: { ...last.at, term: last.term }, count: inside.length, bytes: bytes.subarray(first.from, last.from + last.bytes) };
}
