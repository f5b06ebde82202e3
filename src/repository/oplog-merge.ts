/**
 * Merges archived slices so that files stay few (docs/design/oplog-merging.md).
 *
 *   mergeOplog     writes a slice in the place of several, reads it back and compares; from then on readers take it, and everything else is still there.
 *                  A run does a lot of them and says what is left
 *   removeMerged   what stands inside a merged slice goes, oldest first, when its entries are the same byte for byte
 *
 * Between the two the caller makes sure that nobody who began before the first still reads. Both hold a sweep's lease. A kill at any write leaves
 * chains that are proved from start to end, and the next run goes on.
 *
 * What is damaged is told and merged with nothing; it keeps nothing else from being merged. Nothing is removed by its name: over a data channel
 * a host can add any.
 */
import { sameTime } from '../base/cluster-time.ts';
import { systemClock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { oplogDamaged } from './failures.ts';
import { awaitListed } from './fresh-list.ts';
import type { Lease } from './lease.ts';
import { readChain, type StoredChain } from './oplog-chain.ts';
import { haveSameEntries, openSliceView, plainOf } from './oplog-compare.ts';
import { fullOf, planMerge, roomFor, usualLot, usualMergeLimits, type MergeLimits, type MergeLot } from './oplog-merge-plan.ts';
import { listParts, openLink, openSlice, readBlock, requireFollowing, wayFrom } from './oplog-reader.ts';
import { mergedName, openSliceEncoder, parseSliceName, type OpenedSlice, type SliceName } from './oplog-slice.ts';
import { remove, type TrimOptions, type TrimStretch } from './oplog-trim.ts';
import { withSweepLease } from './sweep-lease.ts';

export type MergeOptions = TrimOptions & { readonly limits?: MergeLimits; readonly lot?: MergeLot };

/** Slices that stay as they are, and why. */
export type Unmerged = { readonly object: string; readonly why: string };

/** `slices` became `into`, of so many bytes; `files`: the slices of the archive now; `full`: merged ones that others still stand inside of; `left`: slices for later runs; `held`: why the lot was not filled. */
export type MergeReport = { slices: number; into: number; bytes: number; files: number; stays: Unmerged[]; full: TrimStretch[]; left: number; held: string | null };

type Run = { readonly parts: ArchiveParts; readonly lease: Lease; readonly signal: AbortSignal | undefined; readonly chain: string; readonly stored: StoredChain };

export async function mergeOplog(parts: ArchiveParts, options: MergeOptions = {}): Promise<MergeReport> {
  const clock = options.clock ?? systemClock;
  return await withSweepLease(parts, clock, async (lease) => {
    const plans = await planMerge(parts, options.limits ?? usualMergeLimits);
    const room = roomFor(plans, options.lot ?? usualLot, await parts.storage.freeBytes());
    const report: MergeReport = { slices: 0, into: 0, bytes: 0, files: plans.reduce((sum, { files }) => sum + files, 0), stays: [], full: plans.flatMap(({ full }) => [...full]), left: 0, held: null };
    let last: string | undefined;
    for (const { chain, stored, groups } of plans) {
      for (const group of groups) {
        if (report.left > 0 || !room.hasRoomFor(group)) report.left += group.length;
        else {
          const before = report.into;
          last = (await mergeGroup({ parts, lease, signal: options.signal, chain, stored }, group, report)) ?? last;
          if (report.into > before) room.took(group);
        }
      }
    }
    report.held = room.held;
    // Whoever begins from now on finds it in his list, and with it all the others.
    if (last !== undefined) await awaitListed(parts.storage, [last], { clock, ...(options.signal !== undefined && { signal: options.signal }) });
    return report;
  });
}

/** Answers what it wrote last. One that is damaged divides its group. */
async function mergeGroup(run: Run, group: readonly SliceName[], report: MergeReport): Promise<string | undefined> {
  if (group.length < 2) return undefined;
  run.signal?.throwIfAborted();
  const { parts, chain, lease } = run;
  const [first, end] = [group[0]!, group.at(-1)!];
  const name = mergedName(parts.names, chain, first.after, end.through);
  const made = await encodeMerged(run, name, group);
  if ('hurt' in made) {
    report.stays.push({ object: group[made.hurt]!.name, why: made.why });
    const before = await mergeGroup(run, group.slice(0, made.hurt), report);
    return (await mergeGroup(run, group.slice(made.hurt + 1), report)) ?? before;
  }
  await lease.confirm();
  if ((await parts.storage.put(name, made.bytes, 'new')) === 'exists') return undefined;
  const why = await differenceOf(run, parseSliceName(name, made.bytes.length)!, group);
  if (why !== undefined) {
    report.stays.push({ object: name, why });
    await remove(run, name);
    return undefined;
  }
  report.slices += group.length;
  report.into += 1;
  report.files += 1;
  report.bytes += made.bytes.length;
  report.full.push({ chain, after: first.after, through: end.through });
  return name;
}

/** One slice of all of them, each proved to continue the one before it; or the place of the first that is not sound. */
async function encodeMerged({ parts, chain, stored, signal }: Run, name: string, group: readonly SliceName[]): Promise<{ bytes: Buffer } | { hurt: number; why: string }> {
  const encoder = openSliceEncoder(parts.keys);
  let first: OpenedSlice | undefined;
  let before: OpenedSlice | undefined;
  for (const [at, slice] of group.entries()) {
    signal?.throwIfAborted();
    try {
      const opened = await openSlice(parts, chain, slice);
      requireFollowing(chain, stored, slice, opened, before);
      for (const [index, { first: from, last, count }] of opened.header.blocks.entries()) encoder.add({ first: from, last, count, bytes: await readBlock(parts, chain, slice, opened, index) });
      first ??= opened;
      before = opened;
    } catch (error) {
      if (!isFailure(error, oplogDamaged)) throw error;
      return { hurt: at, why: error.message };
    }
  }
  return { bytes: encoder.finish(name, first!.header.after, first!.header.previous, before!.hash).bytes };
}

async function differenceOf({ parts, chain }: Run, merged: SliceName, group: readonly SliceName[]): Promise<string | undefined> {
  try {
    return (await haveSameEntries(plainOf(parts, chain, [merged]), plainOf(parts, chain, group))) ? undefined : 'what was read back is not what it was made of';
  } catch (error) {
    if (!isFailure(error, oplogDamaged)) throw error;
    return error.message;
  }
}

export type RemoveReport = { slices: number; freedBytes: number; stays: Unmerged[] };

/** What is asked for counts only where a merged slice says so here and now. */
export async function removeMerged(parts: ArchiveParts, asked: readonly TrimStretch[], options: TrimOptions = {}): Promise<RemoveReport> {
  return await withSweepLease(parts, options.clock ?? systemClock, async (lease) => {
    const report: RemoveReport = { slices: 0, freedBytes: 0, stays: [] };
    for (const chain of new Set(asked.map((stretch) => stretch.chain))) {
      const stored = await readChain(parts, chain);
      const all = await listParts(parts, chain);
      const way = wayFrom(all, stored.start.after, undefined);
      const keys = new Set(asked.filter((stretch) => stretch.chain === chain).map(rangeOf));
      const run: Run = { parts, lease, signal: options.signal, chain, stored };
      for (const { merged, at, inside } of fullOf(all, way)) if (keys.has(rangeOf(merged))) await removeInside(run, { merged, inside, before: way[at - 1], behind: way[at + 1] }, report);
    }
    return report;
  });
}

function rangeOf({ after, through }: Pick<TrimStretch, 'after' | 'through'>): string {
  return `${after.t},${after.i}-${through.t},${through.i}`;
}

type Place = { readonly merged: SliceName; readonly inside: readonly SliceName[]; readonly before: SliceName | undefined; readonly behind: SliceName | undefined };

/** All of them are compared before the first one goes: where the merged one turns out to be damaged, all of them stay. */
async function removeInside(run: Run, { merged, inside, before, behind }: Place, report: RemoveReport): Promise<void> {
  const { parts, chain } = run;
  const same: SliceName[] = [];
  try {
    const view = await openSliceView(parts, chain, merged);
    await requireInPlace(run, { merged, before, behind }, view.opened);
    for (const slice of inside) {
      run.signal?.throwIfAborted();
      const why = await view.differs(slice);
      if (why === undefined) same.push(slice);
      else report.stays.push({ object: slice.name, why });
    }
  } catch (error) {
    if (!isFailure(error, oplogDamaged)) throw error;
    const isGone = await giveWay(run, { merged, inside, before, behind });
    report.stays.push({ object: merged.name, why: isGone ? `${error.message}; what it was made of is whole and takes its place again` : error.message });
    return;
  }
  for (const slice of same) {
    if (!(await remove(run, slice.name))) return;
    report.slices += 1;
    report.freedBytes += slice.bytes;
  }
}

async function requireInPlace({ parts, chain, stored }: Run, { merged, before, behind }: Omit<Place, 'inside'>, opened: OpenedSlice): Promise<void> {
  requireFollowing(chain, stored, merged, opened, before === undefined ? undefined : await openLink(parts, chain, before));
  if (behind !== undefined) requireFollowing(chain, stored, behind, await openLink(parts, chain, behind), opened);
}

/** A merged slice that is damaged, or not in its place, goes when all that it stands for is there and proved. */
async function giveWay(run: Run, { merged, inside, before, behind }: Place): Promise<boolean> {
  const { parts, chain, stored } = run;
  const way = wayFrom(inside, merged.after, merged.through);
  if (!sameTime(way.at(-1)?.through ?? merged.after, merged.through)) return false;
  try {
    let link = before === undefined ? undefined : await openLink(parts, chain, before);
    for (const slice of way) {
      run.signal?.throwIfAborted();
      const opened = await openSlice(parts, chain, slice);
      requireFollowing(chain, stored, slice, opened, link);
      for (let index = 0; index < opened.header.blocks.length; index++) await readBlock(parts, chain, slice, opened, index);
      link = opened;
    }
    if (behind !== undefined) requireFollowing(chain, stored, behind, await openLink(parts, chain, behind), link);
  } catch (error) {
    if (!isFailure(error, oplogDamaged)) throw error;
    return false;
  }
  return await remove(run, merged.name);
}
