/**
 * The archived oplog of a set: chains of slices. Their ids sort as they were begun: a new one's is behind all that are there,
 * though the clock was turned back or did not move meanwhile.
 *
 * A chain is one unbroken run. Where continuity cannot be proved, a new chain is started that says why and what was
 * before; nothing is ever mended. A slice holds (after, through], and the next one's `after` is this one's `through`,
 * time and term, with this one's hash in its header: a slice that is missing, changed or of another chain shows.
 *
 *   startChain     the chain exists, empty, after a moment
 *   flush          one durable slice; if another writer put one after the same moment meanwhile, ours is withdrawn
 *   read           finds its first slice by the name of the day, opens headers in order, and of blocks those it needs
 *
 * Damage of one object is told and hurts no other chain. A chain whose start cannot be read is of no use. A barrier whose
 * record cannot be read is still a barrier: its moment stands in its name, so no moment behind it looks reachable; where
 * not even that can be read, the chain is of no use.
 *
 * Where retention removed entries a cut stands in their place (oplog-cuts.ts).
 *
 * A slice's day is that of the moment it starts after, and the days of a chain start with the chain's own, so a reader
 * looks back from a moment's day to find the slice that contains it.
 */
import { compareTimes, showTime, timeFromKey, timeKey, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { nextSortableId } from '../base/ids.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { blake3 } from '@napi-rs/blake-hash';
import type { ArchiveParts } from './archive-parts.ts';
import { damageOf, type Damage } from './damage.ts';
import { lastPart } from './object-names.ts';
import { readChain, type StoredChain } from './oplog-chain.ts';
import { openChainWriter, type ChainWriter } from './oplog-chain-writer.ts';
import { listSlices, listUnder, readEntries } from './oplog-reader.ts';
import { listRuns } from './oplog-runs.ts';
import type { OplogBatch } from './oplog-slice.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type { OplogBatch } from './oplog-slice.ts';
export type { ChainWriter } from './oplog-chain-writer.ts';

export type ChainStart = {
  /** For people: what broke the chain before, or that this is the first. */
  readonly why: string;
  /** The first entry of the chain is the one behind this. */
  readonly after: Optime;
  readonly previous: string | null;
};

/** An entry that no replay may cross. */
export type Barrier = { readonly at: ClusterTime; readonly what: string };

export type Chain = { readonly id: string; readonly start: ChainStart; readonly startedAtMs: number };

/** A chain of which nothing can be used. */
export type HurtChain = Damage & { readonly chain: string };

export type OplogArchive = {
  /** Oldest first; those of no use are among `hurt`. */
  chains(): Promise<{ chains: Chain[]; hurt: HurtChain[] }>;
  startChain(start: ChainStart): Promise<string>;
  /** `node` tells one holder from another: the same one goes on at once after a kill, others wait half a minute. */
  openChainWriter(chain: string, node: string): Promise<ChainWriter>;
  /** In order, from their names alone; `isCut` where retention removed what was there. */
  slices(chain: string): Promise<{ after: ClusterTime; through: ClusterTime; bytes: number; isCut: boolean }[]>;
  /** The same, and what stands behind slices that are gone: one run behind the other, the first from the chain's start. */
  runs(chain: string): Promise<{ after: ClusterTime; through: ClusterTime; bytes: number; isCut: boolean }[][]>;
  /** What retention removed, from names alone; one may stand for others that are there. */
  cuts(chain: string): Promise<{ after: ClusterTime; through: ClusterTime }[]>;
  /** The entries of (after, through], proved and without a hole; `repository.oplog-gap` where the chain does not hold them all. */
  read(chain: string, after: ClusterTime, through: ClusterTime): AsyncIterable<OplogBatch>;
  addBarrier(chain: string, at: Optime, what: string): Promise<void>;
  /** In order. `isWhole` is false when there may be a barrier that is not in the list: the chain is then of no use. */
  barriers(chain: string): Promise<{ barriers: Barrier[]; damaged: Damage[]; isWhole: boolean }>;
};

/** The ids of all chains, oldest first. */
export async function listChains({ storage, names }: ArchiveParts): Promise<string[]> {
  const ids: string[] = [];
  for await (const { name } of storage.list(names.chains)) ids.push(lastPart(name));
  return ids.sort();
}

export function openOplogArchive(parts: ArchiveParts, clock: Clock = systemClock): OplogArchive {
  const { storage, keys, names } = parts;
  return {
    async chains() {
      const chains: Chain[] = [];
      const hurt: HurtChain[] = [];
      for (const id of await listChains(parts)) {
        try {
          const { start, startedAtMs } = await readChain(parts, id);
          chains.push({ id, start, startedAtMs });
        } catch (error) {
          hurt.push({ chain: id, ...damageOf(names.chainStart(id), error) });
        }
      }
      return { chains, hurt };
    },
    async startChain(start) {
      const chain = nextSortableId(await listChains(parts), clock);
      const stored: StoredChain = { form: 1, startedAtMs: clock.now(), start };
      await storage.put(names.chainStart(chain), sealObject(keys.object, names.chainStart(chain), stored), 'new');
      return chain;
    },
    openChainWriter: async (chain, node) => await openChainWriter(parts, chain, await readChain(parts, chain), node, clock),
    async slices(chain) {
      return (await listSlices(parts, chain)).map(({ after, through, bytes, isCut }) => ({ after, through, bytes, isCut }));
    },
    async runs(chain) {
      return (await listRuns(parts, chain)).map((run) => run.map(({ after, through, bytes, isCut }) => ({ after, through, bytes, isCut })));
    },
    async cuts(chain) {
      return (await listUnder(parts, names.cuts(chain))).map(({ after, through }) => ({ after, through }));
    },
    read: (chain, after, through) => readEntries(parts, chain, after, through),
    async addBarrier(chain, at, what) {
      await readChain(parts, chain);
      const check = blake3(Buffer.from(`${showTime(at)} ${at.term} ${what}`)).toString('hex').slice(0, 8);
      const name = `${names.barriers(chain)}${timeKey(at)}-${check}`;
      await storage.put(name, sealObject(keys.object, name, { at, what }), 'new');
    },
    async barriers(chain) {
      const barriers: Barrier[] = [];
      const damaged: Damage[] = [];
      let isWhole = true;
      for await (const { name } of storage.list(names.barriers(chain))) {
        try {
          const { at, what } = openObject(keys.object, name, await storage.read(name)) as Barrier;
          barriers.push({ at: { t: at.t, i: at.i }, what });
        } catch (error) {
          damaged.push(damageOf(name, error));
          const key = /^([0-9a-f]{16})-[0-9a-f]{8}$/.exec(lastPart(name))?.[1];
          if (key === undefined) isWhole = false;
          else barriers.push({ at: timeFromKey(key), what: 'an entry whose record is damaged' });
        }
      }
      return { barriers: barriers.sort((a, b) => compareTimes(a.at, b.at)), damaged, isWhole };
    },
  };
}
