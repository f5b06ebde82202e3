/**
 * Where a copied chain ends and its source goes on. Ends are the same when their moments and hashes are, whatever slices they are ends of:
 * either side may have merged its own.
 */
import { compareTimes, sameTime, type ClusterTime } from '../base/cluster-time.ts';
import type { Clock } from '../base/clock.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { oplogDamaged } from './failures.ts';
import { dayOf, lastPart } from './object-names.ts';
import type { Chain } from './oplog-archive.ts';
import type { StoredChain } from './oplog-chain.ts';
import { inOrder, listSlices, listUnder, openLink, wayFrom } from './oplog-reader.ts';
import type { SliceName } from './oplog-slice.ts';

type Ends = { readonly source: ArchiveParts; readonly target: ArchiveParts };

/** Whether it has nothing that is needed. */
export async function isOutlived({ source, from }: { readonly source: ArchiveParts; readonly from: ClusterTime | null }, chain: Chain, lastDay: number): Promise<boolean> {
  const end = await endIn(source, chain.id, chain.start.after, lastDay);
  return end === undefined || (from !== null && compareTimes(end.through, from) < 0);
}

export async function isComplete({ source, target }: Ends, chain: Chain, lastDay: number): Promise<boolean> {
  const [first, second] = [await endIn(source, chain.id, chain.start.after, lastDay), await endIn(target, chain.id, chain.start.after, lastDay)];
  if (first === undefined || second === undefined) return first === second;
  if (first.isCut || second.isCut) return compareTimes(first.through, second.through) <= 0;
  if (first.name === second.name) return true;
  return sameTime(first.through, second.through) && (await openLink(source, chain.id, first)).hash === (await openLink(target, chain.id, second)).hash;
}

/** `end`: what the target's chain goes on behind; `around`: a merged slice of the source that this is inside of, or ends with; `fresh`: what the source has from there, or from where that end starts. */
type Joint = { readonly end: SliceName | undefined; readonly around?: SliceName; readonly fresh: SliceName[] };

export async function joinEnds({ source, target }: Ends, chain: string, stored: StoredChain, lastDay: number): Promise<Joint> {
  const start = stored.start.after;
  const end = await endIn(target, chain, start, lastDay);
  const fresh = await slicesFrom(source, chain, end?.after ?? start, lastDay);
  // What was cut from the end of a copy is not copied again.
  if (end?.isCut === true && fresh.every(({ through }) => compareTimes(through, end.through) <= 0)) return { end, fresh: [] };
  const isIn = (cut: SliceName): boolean => cut.isCut && end !== undefined && compareTimes(cut.after, end.through) <= 0 && compareTimes(end.through, cut.through) <= 0;
  if (end === undefined || fresh.at(-1)?.name === end.name || fresh.some(isIn)) return { end, fresh };
  const around = end.isCut ? undefined : await mergedAround(source, chain, start, end.through);
  const rest = around === undefined ? undefined : { end, around, fresh: fresh.filter(({ after }) => compareTimes(after, around.through) >= 0) };
  if (rest !== undefined && compareTimes(rest.around.through, end.through) > 0) return rest;
  // What leads on from its end is proved by its hash when it is copied.
  if (fresh.some((part) => part.name === end.name || sameTime(part.after, end.through))) return { end, fresh };
  if (rest !== undefined) return rest;
  // Of two writers at once both may take their slice back; one of them writes another from the same moment, which leads on.
  if (fresh.some(({ after }) => sameTime(after, end.after))) return { end: (await listSlices(target, chain)).find(({ through }) => sameTime(through, end.after)), fresh };
  // It is taken back, and nothing is written in its place yet.
  const last = await endIn(source, chain, start, lastDay);
  if (fresh.length === 0 && sameTime(last?.through ?? start, end.after)) return { end, fresh };
  throw otherChain(chain, end);
}

export function otherChain(chain: string, end: SliceName): Error {
  return oplogDamaged({ chain, slice: lastPart(end.name), what: "the target's chain is another one, which this slice ends: the source does not have it" });
}

/** The merged slice that has the entry of this moment. Where a day has anything from before the moment, no other day has. */
async function mergedAround(parts: ArchiveParts, chain: string, start: ClusterTime, at: ClusterTime): Promise<SliceName | undefined> {
  for (let day = dayOf(at.t); day >= dayOf(start.t); day--) {
    const before = (await listUnder(parts, parts.names.day(chain, day))).filter(({ after }) => compareTimes(after, at) < 0);
    if (before.length > 0) return before.findLast(({ isMerged, through }) => isMerged && compareTimes(at, through) <= 0);
  }
  return undefined;
}

/** Where the target's chain ends inside a cut of the source, that cut begins there. */
export function entered(fresh: readonly SliceName[], at: ClusterTime): SliceName[] {
  return fresh.map((part) => (part.isCut && compareTimes(part.after, at) < 0 && compareTimes(at, part.through) < 0 ? { ...part, after: at } : part));
}

/** A slice of the source that stands behind a missing one is not copied, and that is told. */
export async function requireReached(source: ArchiveParts, chain: string, start: ClusterTime, through: ClusterTime, lastDay: number): Promise<void> {
  const end = await endIn(source, chain, through, lastDay);
  if (end === undefined || compareTimes(end.after, through) <= 0) return;
  // Its writer may have gone on since it was listed.
  const behind = await slicesFrom(source, chain, through, lastDay);
  if (wayFrom(entered(behind, through), through, undefined).length > 0) return;
  // Or it was merged since then.
  if (compareTimes((await mergedAround(source, chain, start, through))?.through ?? through, through) > 0) return;
  throw oplogDamaged({ chain, slice: lastPart(end.name), what: 'a slice before it is missing' });
}

/** Slices stand in the folder of the day that they start after. */
const daysAhead = 1;

/** No chain is written to when the next one has begun. */
export function lastDayOf(next: Chain | undefined, clock: Clock): number {
  const seconds = next === undefined ? clock.now() / 1000 : Math.max(next.start.after.t, next.startedAtMs / 1000);
  return dayOf(seconds) + daysAhead;
}

/** The last slice of a chain, found by day from the newest one on, or the cut behind it. */
async function endIn(parts: ArchiveParts, chain: string, start: ClusterTime, lastDay: number): Promise<SliceName | undefined> {
  const cut = (await listUnder(parts, parts.names.cuts(chain))).sort((a, b) => compareTimes(a.through, b.through)).at(-1);
  if (!(await hasAny(parts, parts.names.slices(chain)))) return cut;
  for (let day = Math.max(lastDay, dayOf(start.t)); day >= dayOf(start.t); day--) {
    const last = lastOf(await listUnder(parts, parts.names.day(chain, day)));
    if (last !== undefined) return cut !== undefined && compareTimes(cut.through, last.through) >= 0 ? cut : last;
  }
  return cut;
}

/** A merged slice ends where its last part does, which may go. */
function lastOf(slices: readonly SliceName[]): SliceName | undefined {
  const end = slices.map(({ through }) => through).sort(compareTimes).at(-1);
  const ending = slices.filter(({ through }) => end !== undefined && sameTime(through, end));
  return ending.find(({ isMerged }) => isMerged) ?? ending.at(-1);
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
