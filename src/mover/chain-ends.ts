/**
 * Where the chains of an archived oplog end, for whoever adds to them over a data channel: a host carries its oplog on, and does not
 * write again what is archived, neither over it nor into the midst of it.
 */
import { compareTimes, showTime, type ClusterTime } from '../base/cluster-time.ts';
import { inOrder, listUnder, wayFrom } from '../repository/oplog-reader.ts';
import { parseSliceName } from '../repository/oplog-slice.ts';
import type { Storage } from '../repository/storage/storage.ts';
import type { ArchiveRules } from './archive-rules.ts';
import { requestRefused } from './failures.ts';

export type ChainEnds = {
  /** Fails when a new slice would begin before its chain ends. One that is there already is another's to refuse. */
  requireAtEnd(name: string): Promise<void>;
  wasAdded(name: string): void;
  /** What was taken back ends nothing. */
  wasTakenBack(name: string): void;
};

/**
 * Each chain is listed once, at the first slice. It ends where its cuts and slices lead from the first one on, as its writer sees it: one that somebody
 * left beside the others, or that stands behind a missing one, ends nothing. Where the first one itself is missing nobody sees it here: the chain's
 * start is sealed, and whoever writes begins another chain.
 */
export function openChainEnds(storage: Pick<Storage, 'list' | 'stat'>, rules: Pick<ArchiveRules, 'slicesAround'>): ChainEnds {
  const ends = new Map<string, ClusterTime | null>();
  const endOf = async (slices: string): Promise<ClusterTime | null> => {
    const known = ends.get(slices);
    if (known !== undefined) return known;
    const found = [...(await listUnder({ storage }, slices.replace(/slices\/$/, 'cuts/'))), ...(await listUnder({ storage }, slices))].sort(inOrder);
    const end = found.length === 0 ? null : wayFrom(found, found[0]!.after, undefined).at(-1)!.through;
    ends.set(slices, end);
    return end;
  };
  return {
    async requireAtEnd(name) {
      const slices = rules.slicesAround(name);
      const slice = parseSliceName(name, 0);
      if (slices === undefined || slice === undefined) return;
      const end = await endOf(slices);
      if (end === null || compareTimes(slice.after, end) >= 0 || (await storage.stat(name)) !== undefined) return;
      throw requestRefused({ what: `writing ${name}`, why: `its chain is archived until ${showTime(end)} already` });
    },
    wasAdded(name) {
      const slices = rules.slicesAround(name);
      if (slices !== undefined && ends.has(slices)) ends.set(slices, later(ends.get(slices)!, parseSliceName(name, 0)?.through));
    },
    wasTakenBack(name) {
      const slices = rules.slicesAround(name);
      if (slices !== undefined) ends.delete(slices);
    },
  };
}

function later(a: ClusterTime | null, b: ClusterTime | undefined): ClusterTime | null {
  return b === undefined || (a !== null && compareTimes(a, b) >= 0) ? a : b;
}
