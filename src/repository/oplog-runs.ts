/**
 * What there is of a chain, as runs of slices that continue one another. Behind a slice that is gone the next ones are still of use: to points that
 * were made behind it. A follower's restart may archive again what is missing; what of the old slices lies beside its new ones is in no run.
 */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { readChain } from './oplog-chain.ts';
import { listParts, wayFrom } from './oplog-reader.ts';
import type { SliceName } from './oplog-slice.ts';

/** The first one begins with the chain, and is empty where its first slice is gone. */
export async function listRuns(parts: ArchiveParts, chain: string): Promise<SliceName[][]> {
  const { start } = await readChain(parts, chain);
  const look = async (): Promise<SliceName[][]> => runsOf(await listParts(parts, chain), start.after);
  const found = await look();
  // What went while it was listed is in a merged slice that a second list has.
  return found.length > 1 ? await look() : found;
}

function runsOf(slices: readonly SliceName[], after: ClusterTime): SliceName[][] {
  const runs: SliceName[][] = [];
  let at = after;
  for (let left = slices; ; at = left[0].after) {
    const run = wayFrom(left, at, undefined);
    const end = run.at(-1)?.through ?? at;
    runs.push(run);
    left = left.filter((slice) => compareTimes(slice.after, end) > 0);
    if (left[0] === undefined) return runs;
  }
}

export type Hole = { readonly after: ClusterTime; readonly through: ClusterTime };

/** Between the runs of a chain that starts behind `after`: no cut of retention stands there. */
export function holesOf(runs: readonly (readonly Pick<SliceName, 'after' | 'through'>[])[], after: ClusterTime): Hole[] {
  const holes: Hole[] = [];
  let end = after;
  for (const run of runs) {
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined) continue;
    if (compareTimes(first.after, end) > 0) holes.push({ after: { t: end.t, i: end.i }, through: { t: first.after.t, i: first.after.i } });
    end = last.through;
  }
  return holes;
}
