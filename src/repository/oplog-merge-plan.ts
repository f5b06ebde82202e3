/**
 * Which slices are merged (docs/design/oplog-merging.md): from names alone, but for what is retained.
 *
 * A day of a chain is over when the chain has a slice of a later one, or is not the newest: nothing comes to it any more. While it is
 * not, what was merged once stays alone, so an entry is written again once in its own day, and after that only with all of its day.
 */
import type { ArchiveParts } from './archive-parts.ts';
import { dayOf } from './object-names.ts';
import { listChains } from './oplog-archive.ts';
import { readableChain, type StoredChain } from './oplog-chain.ts';
import { listParts, wayFrom, type ListChain } from './oplog-reader.ts';
import type { SliceName } from './oplog-slice.ts';
import { isInside, type TrimStretch } from './oplog-trim.ts';

/** Stored bytes of a group at most; a slice of more than half of it stays alone. */
export const groupBytes = 32 << 20;
const fewestInOpenDay = 16;
const askedAtOnce = 16;

export type MergeLimits = { readonly groupBytes: number; readonly fewest: number };
export const usualMergeLimits: MergeLimits = { groupBytes, fewest: fewestInOpenDay };

export type ChainMerge = { readonly chain: string; readonly stored: StoredChain; readonly groups: readonly (readonly SliceName[])[]; /** Merged slices that others are inside of. */ readonly full: readonly TrimStretch[]; /** Bytes of those others. */ readonly fullBytes: number; /** Slices of the chain, whatever they are. */ readonly files: number };

/** What one run may merge, so that a store never holds much twice and a lease is held for minutes. */
export type MergeLot = { readonly bytes: number; readonly groups: number; /** Left free for everybody else. */ readonly reserveBytes: number };
export const usualLot: MergeLot = { bytes: 1 << 30, groups: 64, reserveBytes: 512 << 20 };

function bytesOf(slices: readonly SliceName[]): number {
  return slices.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What is left of a lot while its run goes on. */
export type MergeRoom = {
  hasRoomFor(group: readonly SliceName[]): boolean;
  /** A group that could not be merged takes nothing. */
  took(group: readonly SliceName[]): void;
  /** Why it ended before the lot was full; null: it did not. */
  readonly held: string | null;
};

export function roomFor(plans: readonly ChainMerge[], lot: MergeLot, freeBytes: number | null): MergeRoom {
  const waiting = plans.reduce((sum, { fullBytes }) => sum + fullBytes, 0);
  const [mayWrite, space] = [lot.bytes - waiting, freeBytes === null ? Number.POSITIVE_INFINITY : freeBytes - lot.reserveBytes];
  let [written, groups] = [0, 0];
  let held: string | null = null;
  return {
    hasRoomFor(group) {
      const bytes = written + bytesOf(group);
      if (bytes > space) held = `the storage has ${freeBytes} bytes free, and ${lot.reserveBytes} are left to others`;
      else if (bytes > mayWrite && waiting > 0) held = `${waiting} bytes that were merged before are still to go`;
      return groups < lot.groups && bytes <= Math.min(mayWrite, space);
    },
    took(group) {
      written += bytesOf(group);
      groups += 1;
    },
    get held() {
      return held;
    },
  };
}

/** Of every chain whose start can be read. */
export async function planMerge(parts: ArchiveParts, limits: MergeLimits = usualMergeLimits, list: ListChain = async (chain) => await listParts(parts, chain)): Promise<ChainMerge[]> {
  const plans: ChainMerge[] = [];
  const chains = await listChains(parts);
  for (const chain of chains) {
    const stored = await readableChain(parts, chain);
    if (stored === undefined) continue;
    const all = await list(chain);
    const way = wayFrom(all, stored.start.after, undefined);
    const isNewest = chain === chains.at(-1);
    const wanted = groupsOf(way, isNewest, limits);
    const retained = await firstRetained(parts, wanted.flat());
    const groups = retained === undefined ? wanted : groupsOf(way.slice(0, way.indexOf(retained)), false, limits, openDayOf(way, isNewest));
    const full = fullOf(all, way);
    const fullBytes = full.reduce((sum, { inside }) => sum + bytesOf(inside), 0);
    plans.push({ chain, stored, groups, full: full.map(({ merged: { after, through } }) => ({ chain, after, through })), fullBytes, files: all.filter(({ isCut }) => !isCut).length });
  }
  return plans;
}

function openDayOf(way: readonly SliceName[], isNewest: boolean): number | undefined {
  const last = way.at(-1);
  return isNewest && last !== undefined ? dayOf(last.after.t) : undefined;
}

/** Consecutive slices of one day, in order. The last slice of the newest chain is its writer's. */
export function groupsOf(way: readonly SliceName[], isNewest: boolean, limits: MergeLimits, openDay: number | undefined = openDayOf(way, isNewest)): SliceName[][] {
  const groups: SliceName[][] = [];
  let group: SliceName[] = [];
  let bytes = 0;
  const close = (): void => {
    const [first] = group;
    if (first !== undefined && group.length >= (dayOf(first.after.t) === openDay ? limits.fewest : 2)) groups.push(group);
    group = [];
    bytes = 0;
  };
  for (const slice of isNewest ? way.slice(0, -1) : way) {
    const day = dayOf(slice.after.t);
    const isAlone = slice.isCut || slice.bytes > limits.groupBytes / 2 || (slice.isMerged && day === openDay);
    if (isAlone || (group[0] !== undefined && dayOf(group[0].after.t) !== day) || bytes + slice.bytes > limits.groupBytes) close();
    if (isAlone) continue;
    group.push(slice);
    bytes += slice.bytes;
  }
  close();
  return groups;
}

/** They were retained in their order, so whatever is behind the first one waits too. */
async function firstRetained({ storage }: ArchiveParts, slices: readonly SliceName[]): Promise<SliceName | undefined> {
  if (storage.retention?.until === undefined) return undefined;
  for (let from = 0; from < slices.length; from += askedAtOnce) {
    const asked = slices.slice(from, from + askedAtOnce);
    const untils = await storage.retention.until(asked.map(({ name }) => name));
    const at = untils.findIndex((untilMs) => untilMs !== null);
    if (at >= 0) return asked[at];
  }
  return undefined;
}

/** Merged slices of the way and what stands inside them beside it, oldest first. */
export function fullOf(all: readonly SliceName[], way: readonly SliceName[]): { merged: SliceName; at: number; inside: SliceName[] }[] {
  const onWay = new Set(way);
  const byDay = new Map<number, SliceName[]>();
  for (const slice of all) {
    if (slice.isCut || onWay.has(slice)) continue;
    const day = dayOf(slice.after.t);
    const known = byDay.get(day);
    if (known === undefined) byDay.set(day, [slice]);
    else known.push(slice);
  }
  const found: { merged: SliceName; at: number; inside: SliceName[] }[] = [];
  for (const [at, merged] of way.entries()) {
    if (!merged.isMerged) continue;
    const inside = (byDay.get(dayOf(merged.after.t)) ?? []).filter((slice) => isInside(slice, merged));
    if (inside.length > 0) found.push({ merged, at, inside });
  }
  return found;
}
