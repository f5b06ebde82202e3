/**
 * A slice of a check: which objects are read in it. An object's part is made of its name alone, so that whoever asks gets the same
 * answer, nothing is remembered for each object, and all parts together are all objects.
 */
import { createHash } from 'node:crypto';
import { sample } from './sample.ts';

/** Some of `of` parts, counted from 0. */
export type CheckSlice = { readonly of: number; readonly parts: readonly number[] };

export function partOf(name: string, of: number): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) % of;
}

/** What of all objects is read: a slice where there is one, else a share by chance. */
export function chosenOf(names: readonly string[], { slice, readDataPercent }: { readonly slice?: CheckSlice | undefined; readonly readDataPercent: number }, seed: number): Set<string> {
  if (slice === undefined) return new Set(sample(names, readDataPercent, seed));
  const parts = new Set(slice.parts);
  return new Set(names.filter((name) => parts.has(partOf(name, slice.of))));
}
