/**
 * Copies the archived oplog into another archive of the same set, under another key, byte for byte.
 *
 *   for each chain that is needed, oldest first:
 *     1. its start                     the chain exists
 *     2. slices of the source listed   then its barriers: none of a listed slice is missed
 *     3. barriers                      before the slices that they are in
 *     4. slices, in order              each proved to continue the one before it, sealed with the target's key; for what retention cut
 *                                      out of the source the same cut, begun where the target's chain ends
 *
 * A slice keeps its header to the byte, and with it its hash, so the copied chain proves itself as the source's does. A slice
 * that is there already is the same one. Whoever is killed leaves a shorter chain.
 *
 * A chain is complete when it is older than the newest one in the target and ends there with the same slice as in the source:
 * nobody writes to it any more. One that broke off at a damaged slice, or that is not the same chain any more, is told by
 * every run, until it is whole or not needed.
 */
import { compareTimes, sameTime, timeFromKey, type ClusterTime } from '../base/cluster-time.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { damageOf } from './damage.ts';
import { oplogDamaged } from './failures.ts';
import { takeLease, type Lease } from './lease.ts';
import { dayOf, lastPart } from './object-names.ts';
import { chainRoot, readChain, type StoredChain } from './oplog-chain.ts';
import { listChains, type Chain } from './oplog-archive.ts';
import { openCut, putCut } from './oplog-cuts.ts';
import { inOrder, listSlices, listUnder, openLink, openSlice, readPart, requireFollowing, wayFrom, type Link } from './oplog-reader.ts';
import { openSliceBody, sealSlice, type OpenedSlice, type SliceName } from './oplog-slice.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type OplogCopying = {
  readonly source: ArchiveParts;
  readonly target: ArchiveParts;
  /** Chains that end before this moment are not needed; null: none is, but the newest. */
  readonly from: ClusterTime | null;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly onSlice?: (bytes: number) => void;
};

/** `through`: how far the newest chain of the target reaches. `damaged`: what could not be copied, and why. */
export type OplogCopied = { slices: number; bytes: number; through: ClusterTime | null; damaged: { object: string; what: string }[] };

/** Holds a lease of the target while it works: who would take the repository over sees it. */
export async function copyOplog(copying: OplogCopying, chains: readonly Chain[]): Promise<OplogCopied> {
  const { storage, names, keys } = copying.target;
  const lease = await takeLease({ storage, names, objectKey: keys.object, clock: copying.clock ?? systemClock }, 'writer');
  try {
    return await copyChains({ ...copying, lease }, chains);
  } finally {
    await lease.release();
  }
}

type Run = OplogCopying & { readonly lease: Lease };

async function copyChains(copying: Run, chains: readonly Chain[]): Promise<OplogCopied> {
  const report: OplogCopied = { slices: 0, bytes: 0, through: null, damaged: [] };
  const there = await listChains(copying.target);
  const newest = there.at(-1);
  for (const [index, chain] of chains.entries()) {
    copying.signal?.throwIfAborted();
    const next = chains[index + 1];
    const isOver = next !== undefined && (copying.from === null || compareTimes(next.start.after, copying.from) <= 0);
    if (isOver) continue;
    const lastDay = lastDayOf(next, copying.clock ?? systemClock);
    // What retention has taken away whole, or as good as that, is not begun again.
    if (next !== undefined && !there.includes(chain.id) && (await isOutlived(copying, chain, lastDay))) continue;
    const isOld = newest !== undefined && chain.id < newest && there.includes(chain.id);
    try {
      if (isOld && (await isComplete(copying, chain, lastDay))) continue;
      report.through = await copyChain(copying, chain.id, lastDay, report);
    } catch (error) {
      // Another chain proves itself; of this one what stands before the damage is whole.
      if (!isFailure(error, oplogDamaged)) throw error;
      report.damaged.push({ object: copying.source.names.slices(chain.id), what: error.message });
    }
  }
  return report;
}

/** Whether it has nothing that is needed. */
async function isOutlived({ source, from }: OplogCopying, chain: Chain, lastDay: number): Promise<boolean> {
  const end = await endIn(source, chain.id, chain.start.after, lastDay);
  return end === undefined || (from !== null && compareTimes(end.through, from) < 0);
}

async function isComplete({ source, target }: OplogCopying, chain: Chain, lastDay: number): Promise<boolean> {
  const [first, second] = [await endIn(source, chain.id, chain.start.after, lastDay), await endIn(target, chain.id, chain.start.after, lastDay)];
  if (first === undefined || second === undefined) return first === second;
  return first.isCut || second.isCut ? compareTimes(first.through, second.through) <= 0 : first.name === second.name;
}

async function copyChain(copying: Run, chain: string, lastDay: number, report: OplogCopied): Promise<ClusterTime> {
  const { source, target, signal } = copying;
  const stored = await readChain(source, chain);
  const name = target.names.chainStart(chain);
  await target.storage.put(name, sealObject(target.keys.object, name, stored), 'new');
  const { end, fresh } = await joinEnds(copying, chain, stored, lastDay);
  let before = end === undefined ? undefined : await openLink(target, chain, end);
  let through: ClusterTime = end?.through ?? stored.start.after;
  const way = wayFrom(entered(fresh, through), through, undefined);
  await copyBarriers(source, target, chain);
  for (const slice of way) {
    signal?.throwIfAborted();
    if (slice.isCut) {
      before = await copyCut({ source, target, lease: copying.lease }, chain, stored, slice, before);
      through = slice.through;
      continue;
    }
    const { bytes, opened } = await reseal(source, target, chain, slice);
    requireFollowing(chain, stored, slice, opened, before);
    await copying.lease.confirm();
    await target.storage.put(slice.name, bytes, 'new');
    before = opened;
    through = slice.through;
    report.slices += 1;
    report.bytes += bytes.length;
    copying.onSlice?.(bytes.length);
  }
  await requireReached(source, chain, through, lastDay);
  return through;
}

/** The slice that the target's chain goes on behind, and what the source has from where that one starts. */
async function joinEnds({ source, target }: OplogCopying, chain: string, stored: StoredChain, lastDay: number): Promise<{ end: SliceName | undefined; fresh: SliceName[] }> {
  const start = stored.start.after;
  const end = await endIn(target, chain, start, lastDay);
  const fresh = await slicesFrom(source, chain, end?.after ?? start, lastDay);
  // What was cut from the end of a copy is not copied again.
  if (end?.isCut === true && fresh.every(({ through }) => compareTimes(through, end.through) <= 0)) return { end, fresh: [] };
  // What leads on from its end is proved by its hash when it is copied.
  const isIn = (cut: SliceName): boolean => cut.isCut && end !== undefined && compareTimes(cut.after, end.through) <= 0 && compareTimes(end.through, cut.through) <= 0;
  if (end === undefined || fresh.some((part) => part.name === end.name || sameTime(part.after, end.through) || isIn(part))) return { end, fresh };
  // Of two writers at once both may take their slice back; one of them writes another from the same moment, which leads on.
  if (fresh.some(({ after }) => sameTime(after, end.after))) return { end: (await listSlices(target, chain)).find(({ through }) => sameTime(through, end.after)), fresh };
  // It is taken back, and nothing is written in its place yet.
  const last = await endIn(source, chain, start, lastDay);
  if (fresh.length === 0 && sameTime(last?.through ?? start, end.after)) return { end, fresh };
  throw oplogDamaged({ chain, slice: lastPart(end.name), what: "the target's chain is another one, which this slice ends: the source does not have it" });
}

/** Where the target's chain ends inside a cut of the source, that cut begins there. */
function entered(fresh: readonly SliceName[], at: ClusterTime): SliceName[] {
  return fresh.map((part) => (part.isCut && compareTimes(part.after, at) < 0 && compareTimes(at, part.through) < 0 ? { ...part, after: at } : part));
}

async function copyCut({ source, target, lease }: Pick<Run, 'source' | 'target' | 'lease'>, chain: string, stored: StoredChain, cut: SliceName, before: Link | undefined): Promise<Link> {
  const { header, hash } = await openCut(source, chain, cut.name);
  const from = before === undefined ? { through: stored.start.after, hash: chainRoot(chain, stored) } : { through: before.header.through, hash: before.hash };
  if (sameTime(header.after, from.through)) requireFollowing(chain, stored, cut, { header, hash }, before);
  await lease.confirm();
  await putCut(target, chain, { after: from.through, through: header.through, previous: from.hash, hash });
  return { header: { ...header, after: from.through, previous: from.hash }, hash };
}

/** A slice of the source that stands behind a missing one is not copied, and that is told. */
async function requireReached(source: ArchiveParts, chain: string, through: ClusterTime, lastDay: number): Promise<void> {
  const end = await endIn(source, chain, through, lastDay);
  if (end === undefined || compareTimes(end.after, through) <= 0) return;
  // Its writer may have gone on since it was listed.
  const behind = await slicesFrom(source, chain, through, lastDay);
  if (wayFrom(entered(behind, through), through, undefined).length === 0) throw oplogDamaged({ chain, slice: lastPart(end.name), what: 'a slice before it is missing' });
}

/** A slice of the source, every block of it proved, as it is written into the target. */
export async function reseal(source: ArchiveParts, target: ArchiveParts, chain: string, slice: SliceName): Promise<{ bytes: Buffer; opened: OpenedSlice }> {
  const opened = await openSlice(source, chain, slice);
  const bodies: Buffer[] = [];
  for (const [index, block] of opened.header.blocks.entries()) {
    const sealed = await readPart(source, chain, slice, opened.bodiesAt + block.offset, block.bytes);
    bodies.push(openSliceBody(opened, chain, slice.name, index, sealed).body);
  }
  return { bytes: sealSlice(target.keys, slice.name, opened.json, bodies), opened };
}

/** Slices stand in the folder of the day that they start after. */
const daysAhead = 1;

/** No chain is written to when the next one has begun. */
function lastDayOf(next: Chain | undefined, clock: Clock): number {
  const seconds = next === undefined ? clock.now() / 1000 : Math.max(next.start.after.t, next.startedAtMs / 1000);
  return dayOf(seconds) + daysAhead;
}

/** The last slice of a chain, found by day from the newest one on, or the cut behind it. */
async function endIn(parts: ArchiveParts, chain: string, start: ClusterTime, lastDay: number): Promise<SliceName | undefined> {
  const cut = (await listUnder(parts, parts.names.cuts(chain))).sort((a, b) => compareTimes(a.through, b.through)).at(-1);
  if (!(await hasAny(parts, parts.names.slices(chain)))) return cut;
  for (let day = Math.max(lastDay, dayOf(start.t)); day >= dayOf(start.t); day--) {
    const last = (await listUnder(parts, parts.names.day(chain, day))).at(-1);
    if (last !== undefined) return cut !== undefined && compareTimes(cut.through, last.through) >= 0 ? cut : last;
  }
  return cut;
}

async function hasAny({ storage }: ArchiveParts, prefix: string): Promise<boolean> {
  for await (const _ of storage.list(prefix)) return true;
  return false;
}

async function slicesFrom(parts: ArchiveParts, chain: string, after: ClusterTime, lastDay: number): Promise<SliceName[]> {
  const found: SliceName[] = [];
  for (let day = dayOf(after.t); day <= Math.max(lastDay, dayOf(after.t)); day++) found.push(...(await listUnder(parts, parts.names.day(chain, day))));
  const cuts = (await listUnder(parts, parts.names.cuts(chain))).filter(({ through }) => compareTimes(through, after) > 0);
  return [...cuts, ...found.filter((slice) => compareTimes(slice.after, after) >= 0)].sort(inOrder);
}

/** Those that the target lacks, or only `anew` in the place of one that is damaged there. One whose record is damaged stays a barrier: its moment stands in its name. */
export async function copyBarriers(source: ArchiveParts, target: ArchiveParts, chain: string, anew?: string): Promise<void> {
  const there = new Set<string>();
  for await (const { name } of target.storage.list(target.names.barriers(chain))) there.add(name);
  for await (const { name } of source.storage.list(source.names.barriers(chain))) {
    if (anew === undefined ? there.has(name) : name !== anew) continue;
    const value = await readBarrier(source, chain, name);
    await target.storage.put(name, sealObject(target.keys.object, name, value), anew === undefined ? 'new' : 'replace');
  }
}

async function readBarrier(source: ArchiveParts, chain: string, name: string): Promise<unknown> {
  try {
    return openObject(source.keys.object, name, await source.storage.read(name));
  } catch (error) {
    const { what } = damageOf(name, error);
    const key = /^([0-9a-f]{16})-[0-9a-f]{8}$/.exec(lastPart(name))?.[1];
    if (key === undefined) throw oplogDamaged({ chain, slice: lastPart(name), what: `nobody knows where this barrier is: ${what}` }, error);
    return { at: { ...timeFromKey(key), term: -1 }, what: 'an entry whose record is damaged' };
  }
}
