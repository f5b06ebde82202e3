/**
 * Which bytes of a file may differ from an earlier clone of it, by where both lie on the disk.
 *
 * Two clones that share a physical block have the same bytes there: nobody writes into a clone, and as long as the older
 * one exists the block is not given to anybody else. Anything the file system cannot place exactly (delayed, unwritten,
 * inline, encoded, unknown) counts as changed. Two holes are the same zeros.
 *
 * The older map is read before and after the newer one: only if it did not move in between (a balance of Btrfs moves
 * extents) were both true at one moment.
 */
import { closeSync, openSync } from 'node:fs';
import { fileExtents, type Extent } from '../../base/native.ts';

export type ByteRange = { readonly from: number; readonly bytes: number };

const LAST = 0x1;
const MERGED = 0x1000;
const SHARED = 0x2000;
const placed = LAST | MERGED | SHARED;
const BLOCK = 4096;

/** Undefined when the older clone cannot be compared: read everything. */
export function changedSince(older: { path: string; bytes: number }, newer: { path: string; bytes: number }): ByteRange[] | undefined {
  const before = extentsOf(older.path);
  const now = extentsOf(newer.path);
  const after = extentsOf(older.path);
  if (before === undefined || now === undefined || after === undefined || !sameMap(before, after)) return undefined;
  return changedRanges(before, now, older.bytes, newer.bytes);
}

/**
 * Ranges of the newer file, in order, apart, within its size. Where the sizes differ, everything from the last block
 * they have in common is in them.
 */
export function changedRanges(older: readonly Extent[], newer: readonly Extent[], olderBytes: number, newerBytes: number): ByteRange[] {
  const shared = Math.min(olderBytes, newerBytes);
  const sameSize = olderBytes === newerBytes;
  const compared = sameSize ? newerBytes : Math.max(0, Math.ceil(shared / BLOCK) * BLOCK - BLOCK);
  const ranges: { from: number; bytes: number }[] = [];
  const add = (from: number, to: number): void => {
    const last = ranges.at(-1);
    if (from >= to) return;
    if (last !== undefined && last.from + last.bytes === from) last.bytes += to - from;
    else ranges.push({ from, bytes: to - from });
  };
  let a = 0;
  let b = 0;
  for (let at = 0; at < compared; ) {
    while (a < older.length && endOf(older[a]!) <= at) a++;
    while (b < newer.length && endOf(newer[b]!) <= at) b++;
    const left = older[a];
    const right = newer[b];
    const to = Math.min(compared, nextBorder(left, at), nextBorder(right, at));
    if (!samePlace(left, right, at)) add(at, to);
    at = to;
  }
  if (!sameSize) add(compared, newerBytes);
  return ranges;
}

function endOf(extent: Extent): number {
  return extent.logical + extent.length;
}

/** Where the answer for `at` may change next. */
function nextBorder(extent: Extent | undefined, at: number): number {
  if (extent === undefined) return Number.MAX_SAFE_INTEGER;
  return extent.logical > at ? extent.logical : endOf(extent);
}

function samePlace(older: Extent | undefined, newer: Extent | undefined, at: number): boolean {
  const left = older !== undefined && older.logical <= at ? older : undefined;
  const right = newer !== undefined && newer.logical <= at ? newer : undefined;
  if (left === undefined || right === undefined) return left === right;
  if (((left.flags | right.flags) & ~placed) !== 0) return false;
  return left.physical - left.logical === right.physical - right.logical;
}

function sameMap(a: readonly Extent[], b: readonly Extent[]): boolean {
  return a.length === b.length && a.every((extent, k) => extent.logical === b[k]!.logical && extent.physical === b[k]!.physical && extent.length === b[k]!.length);
}

function extentsOf(path: string): Extent[] | undefined {
  try {
    const fd = openSync(path, 'r');
    try {
      return fileExtents(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
