/**
 * The archived oplog of a set: chains of slices.
 *
 * A chain is one unbroken run. Where continuity cannot be proved, a new chain is started that says why and what was
 * before; nothing is ever mended. A slice holds (after, through], and the next one's `after` is this one's `through`,
 * time and term, with this one's hash in its header: a slice that is missing, changed or of another chain shows.
 *
 *   startChain     the chain exists, empty, after a moment
 *   flush          one durable slice; if another writer put one after the same moment meanwhile, ours is withdrawn
 *   read           finds its first slice by the name of the day, opens headers in order, and of blocks those it needs
 *
 * A slice's day is that of the moment it starts after, and the days of a chain start with the chain's own, so a reader
 * looks back from a moment's day to find the slice that contains it.
 */
import { compareTimes, showTime, timeKey, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { sortableId } from '../base/ids.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { blake3 } from '@napi-rs/blake-hash';
import type { ArchiveParts } from './archive-parts.ts';
import { lastPart } from './object-names.ts';
import { readChain, type StoredChain } from './oplog-chain.ts';
import { openChainWriter, type ChainWriter } from './oplog-chain-writer.ts';
import { listSlices, readEntries } from './oplog-reader.ts';
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

export type OplogArchive = {
  /** Oldest first. */
  chains(): Promise<{ id: string; start: ChainStart; startedAtMs: number }[]>;
  startChain(start: ChainStart): Promise<string>;
  /** `node` tells one holder from another: the same one goes on at once after a kill, others wait half a minute. */
  openChainWriter(chain: string, node: string): Promise<ChainWriter>;
  /** In order, from their names alone. */
  slices(chain: string): Promise<{ after: ClusterTime; through: ClusterTime; bytes: number }[]>;
  /** The entries of (after, through], proved and without a hole; `repository.oplog-gap` where the chain does not hold them all. */
  read(chain: string, after: ClusterTime, through: ClusterTime): AsyncIterable<OplogBatch>;
  addBarrier(chain: string, at: Optime, what: string): Promise<void>;
  barriers(chain: string): Promise<{ at: Optime; what: string }[]>;
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
      const found = await Promise.all((await listChains(parts)).map(async (id) => ({ id, ...(await readChain(parts, id)) })));
      return found.map(({ id, start, startedAtMs }) => ({ id, start, startedAtMs })).sort((a, b) => a.startedAtMs - b.startedAtMs || (a.id < b.id ? -1 : 1));
    },
    async startChain(start) {
      const chain = sortableId(clock);
      const stored: StoredChain = { form: 1, startedAtMs: clock.now(), start };
      await storage.put(names.chainStart(chain), sealObject(keys.object, names.chainStart(chain), stored), 'new');
      return chain;
    },
    openChainWriter: async (chain, node) => await openChainWriter(parts, chain, await readChain(parts, chain), node, clock),
    async slices(chain) {
      return (await listSlices(parts, chain)).map(({ after, through, bytes }) => ({ after, through, bytes }));
    },
    read: (chain, after, through) => readEntries(parts, chain, after, through),
    async addBarrier(chain, at, what) {
      await readChain(parts, chain);
      const check = blake3(Buffer.from(`${showTime(at)} ${at.term} ${what}`)).toString('hex').slice(0, 8);
      const name = `${names.barriers(chain)}${timeKey(at)}-${check}`;
      await storage.put(name, sealObject(keys.object, name, { at, what }), 'new');
    },
    async barriers(chain) {
      const found: { at: Optime; what: string }[] = [];
      for await (const { name } of storage.list(names.barriers(chain))) {
        found.push(openObject(keys.object, name, await storage.read(name)) as { at: Optime; what: string });
      }
      return found.sort((a, b) => compareTimes(a.at, b.at));
    },
  };
}
