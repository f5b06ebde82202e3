/**
 * Copies the archived oplog into another archive of the same set, under another key, byte for byte.
 *
 *   for each chain that is needed, oldest first:
 *     1. its start                     the chain exists
 *     2. slices of the source listed   then its barriers: none of a listed slice is missed
 *     3. barriers                      before the slices that they are in
 *     4. slices, in order              each proved to continue the one before it, sealed with the target's key, and retained before the next one;
 *                                      for what retention cut out of the source the same cut, begun where the target's chain ends
 *
 * A slice keeps its header to the byte, and with it its hash, so the copied chain proves itself as the source's does. A slice
 * that is there already is the same one. Whoever is killed leaves a shorter chain. Either side may have merged slices, each with borders of its
 * own (docs/design/oplog-merging.md): ends are compared by their moment and hash.
 *
 * A chain is complete when it is older than the newest one in the target and ends there as in the source: nobody writes to it any more. One that broke off at a damaged slice, or that is not the same chain any more, is told by
 * every run, until it is whole or not needed.
 */
import { compareTimes, latest, sameTime, timeFromKey, type ClusterTime } from '../base/cluster-time.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { entered, isComplete, isOutlived, joinEnds, lastDayOf, otherChain, requireReached } from './copy-oplog-ends.ts';
import { damageOf } from './damage.ts';
import { oplogDamaged } from './failures.ts';
import { takeLease, type Lease } from './lease.ts';
import { dayOf, lastPart } from './object-names.ts';
import { chainRoot, readChain, type StoredChain } from './oplog-chain.ts';
import { listChains, type Chain } from './oplog-archive.ts';
import { haveSameEntries, openSliceView } from './oplog-compare.ts';
import { openCut, putCut } from './oplog-cuts.ts';
import { entriesOf, goneSlice, openLink, openSlice, readPart, requireFollowing, wayFrom, type Link } from './oplog-reader.ts';
import { mergedName, openSliceBody, openSliceEncoder, sealSlice, type OpenedSlice, type SliceName } from './oplog-slice.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type OplogCopying = {
  readonly source: ArchiveParts;
  readonly target: ArchiveParts;
  /** Chains that end before this moment are not needed; null: none is, but the newest. */
  readonly from: ClusterTime | null;
  /** Those that points are of which are needed: another chain may begin before such a point, and be another history. */
  readonly of?: ReadonlySet<string>;
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
    const isOver = next !== undefined && copying.of?.has(chain.id) !== true && (copying.from === null || compareTimes(next.start.after, copying.from) <= 0);
    if (isOver) continue;
    const lastDay = lastDayOf(next, copying.clock ?? systemClock);
    // What retention has taken away whole, or as good as that, is not begun again.
    if (next !== undefined && !there.includes(chain.id) && (await isOutlived(copying, chain, lastDay))) continue;
    const isOld = newest !== undefined && chain.id < newest && there.includes(chain.id);
    try {
      if (isOld && (await isComplete(copying, chain, lastDay))) continue;
      report.through = await (next === undefined ? copyNewest : copyChain)(copying, chain.id, lastDay, report);
    } catch (error) {
      // Another chain proves itself; of this one what stands before the damage is whole.
      if (!isFailure(error, oplogDamaged)) throw error;
      report.damaged.push({ object: copying.source.names.slices(chain.id), what: error.message });
    }
  }
  return report;
}

/** Day after day: the clock that says which is the last one may be behind the database's. */
async function copyNewest(copying: Run, chain: string, lastDay: number, report: OplogCopied): Promise<ClusterTime> {
  for (let day = lastDay; ; ) {
    const through = await copyChain(copying, chain, day, report);
    const reached = dayOf(through.t);
    if (reached < day) return through;
    day = reached + 1;
  }
}

/** What went while it was at work is in a merged slice now: its place is looked for again, once for each slice. */
async function copyChain(copying: Run, chain: string, lastDay: number, report: OplogCopied): Promise<ClusterTime> {
  const gone = new Set<string>();
  for (;;) {
    try {
      return await copyFromEnd(copying, chain, lastDay, report);
    } catch (error) {
      const name = goneSlice(error);
      if (name === undefined || gone.has(name)) throw error;
      gone.add(name);
    }
  }
}

async function copyFromEnd(copying: Run, chain: string, lastDay: number, report: OplogCopied): Promise<ClusterTime> {
  const { source, target, signal } = copying;
  const stored = await readChain(source, chain);
  const name = target.names.chainStart(chain);
  await target.storage.put(name, sealObject(target.keys.object, name, stored), 'new');
  const { end, around, fresh } = await joinEnds(copying, chain, stored, lastDay);
  // Whoever copied before may have been killed between storing a slice and retaining it; it can only be the last one.
  if (end?.isCut === false) await target.storage.retention?.retain([end.name, name, target.names.about]);
  let before = end === undefined ? undefined : await openLink(target, chain, end);
  let through: ClusterTime = end?.through ?? stored.start.after;
  const way = wayFrom(entered(fresh, around?.through ?? through), around?.through ?? through, undefined);
  await copyBarriers(source, target, chain);
  if (around !== undefined) {
    before = await copyRest(copying, chain, { end: end!, link: before!, around }, report);
    through = around.through;
  }
  for (const slice of way) {
    signal?.throwIfAborted();
    if (slice.isCut) {
      before = await copyCut({ source, target, lease: copying.lease }, chain, stored, slice, before);
      through = slice.through;
      continue;
    }
    const { bytes, opened } = await reseal(source, target, chain, slice);
    requireFollowing(chain, stored, slice, opened, before);
    await put(copying, chain, slice.name, bytes, report);
    before = opened;
    through = slice.through;
  }
  await requireReached(source, chain, stored.start.after, through, lastDay);
  return through;
}

/** Counted once it is retained, and the chain's start with it, as its writer does it. */
async function put({ target, lease, onSlice }: Run, chain: string, name: string, bytes: Buffer, report: OplogCopied): Promise<void> {
  await lease.confirm();
  await target.storage.put(name, bytes, 'new');
  await target.storage.retention?.retain([name, target.names.chainStart(chain), target.names.about]);
  report.slices += 1;
  report.bytes += bytes.length;
  onSlice?.(bytes.length);
}

/**
 * The target's chain ends inside a merged slice of the source. That it is the same chain is shown by the entries of its last slice; what
 * follows in the merged one is written behind it, and carries the hash that what comes next in the source goes on from.
 */
async function copyRest(copying: Run, chain: string, { end, link, around }: { end: SliceName; link: Link; around: SliceName }, report: OplogCopied): Promise<Link> {
  const { source, target } = copying;
  const from = latest(end.after, around.after);
  const [theirs, ours] = [await openSliceView(source, chain, around), await openSliceView(target, chain, end)];
  const isSame = await haveSameEntries(theirs.entries(from, end.through), ours.entries(from, end.through));
  const isEnd = sameTime(around.through, end.through);
  if (!isSame || (isEnd && theirs.opened.hash !== link.hash)) throw otherChain(chain, end);
  if (isEnd) return link;
  const name = mergedName(target.names, chain, end.through, around.through);
  const encoder = openSliceEncoder(target.keys);
  for await (const batch of entriesOf(source, chain, around, theirs.opened, end.through, around.through)) encoder.add(batch);
  const { bytes, hash, through } = encoder.finish(name, link.header.through, link.hash, theirs.opened.hash);
  await put(copying, chain, name, bytes, report);
  return { header: { after: link.header.through, through, previous: link.hash }, hash };
}

async function copyCut({ source, target, lease }: Pick<Run, 'source' | 'target' | 'lease'>, chain: string, stored: StoredChain, cut: SliceName, before: Link | undefined): Promise<Link> {
  const { header, hash } = await openCut(source, chain, cut.name);
  const from = before === undefined ? { through: stored.start.after, hash: chainRoot(chain, stored) } : { through: before.header.through, hash: before.hash };
  if (sameTime(header.after, from.through)) requireFollowing(chain, stored, cut, { header, hash }, before);
  await lease.confirm();
  await putCut(target, chain, { after: from.through, through: header.through, previous: from.hash, hash });
  return { header: { ...header, after: from.through, previous: from.hash }, hash };
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
