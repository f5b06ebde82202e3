/**
 * Writing a chain.
 *
 * Who writes says so in oplog/<chain>/writer, at the start and every ten seconds of work. Another node is refused while
 * that sign is fresh; the same node takes over at once, as it does after a kill. The sign is a courtesy: what keeps a
 * chain single is that a slice is withdrawn when another one starts at the same moment. Of two that put theirs at once
 * each sees the other and both withdraw; nothing is lost, because neither has told its caller that it is stored.
 *
 * Behind a slice that is gone others may stand. They carry the hash of the one that is gone, and what is written in its place has another,
 * even of the same entries: it is made of other batches. By their names alone one of them would seem to go on from a slice that ends where it
 * begins, and to lead on to one that begins where it ends. So no slice ends at either: what is pending is stored up to the last batch that ends
 * elsewhere, and the old ones are passed.
 */
import { compareTimes, showTime, timeKey, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import type { Clock } from '../base/clock.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { chainBusy, chainTaken, objectDamaged, objectMissing, oplogNotFollowing } from './failures.ts';
import { awaitListed } from './fresh-list.ts';
import { isAhead, takeLease } from './lease.ts';
import { dayOf } from './object-names.ts';
import { chainRoot, type StoredChain } from './oplog-chain.ts';
import { listParts, openLink, wayFrom } from './oplog-reader.ts';
import { encodeSlice, sliceName, type OplogBatch, type SliceName } from './oplog-slice.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type ChainWriter = {
  /** The last entry that is durable. */
  readonly through: Optime;
  readonly pendingBytes: number;
  /** Refuses a batch that does not come behind what was appended before. */
  append(batch: OplogBatch): void;
  /** One durable slice of what is pending, up to the last batch that ends where no other slice begins or ends; answers how far the chain reaches now. After a failure what was pending still is. */
  flush(): Promise<Optime>;
  /** What is pending is dropped. */
  close(): Promise<void>;
};

/** In oplog/<chain>/writer. */
export type Sign = { readonly node: string; readonly token: string; readonly atMs: number };

export const signedForMs = 30_000;
const signEveryMs = 10_000;

/** When it was signed last. A sign that cannot be read, or is from the future, counts from its last writing; one that was written in the future, too, from never. */
export function signedAt(sign: Sign | undefined, stored: { readonly modifiedMs: number } | undefined, clock: Clock): number {
  return [sign?.atMs, stored?.modifiedMs].find((atMs) => atMs !== undefined && !isAhead(atMs, clock)) ?? Number.NEGATIVE_INFINITY;
}

export async function openChainWriter(parts: ArchiveParts, chain: string, stored: StoredChain, node: string, clock: Clock): Promise<ChainWriter> {
  const { storage, keys, names } = parts;
  const signName = names.chainWriter(chain);
  const token = randomId();
  let signedMs = Number.NEGATIVE_INFINITY;

  const readSign = async (): Promise<Sign | undefined> => {
    try {
      return openObject(keys.object, signName, await storage.read(signName)) as Sign;
    } catch (error) {
      if (isFailure(error, objectMissing) || isFailure(error, objectDamaged)) return undefined;
      throw error;
    }
  };
  const sign = async (): Promise<void> => {
    await storage.put(signName, sealObject(keys.object, signName, { node, token, atMs: clock.now() } satisfies Sign), 'replace');
    signedMs = clock.monotonicMs();
  };

  const other = await readSign();
  if (other !== undefined && other.node !== node) {
    const silentMs = clock.now() - signedAt(other, await storage.stat(signName), clock);
    if (silentMs < signedForMs) throw chainBusy({ chain, node: other.node, seconds: Math.max(0, Math.round(silentMs / 1000)) });
  }
  await sign();

  const { last, edges } = await lookFresh(parts, chain, stored, clock);
  let { through, hash } = await endOf(parts, chain, stored, last);
  const chainNames = [names.chainStart(chain), names.about];
  // Whoever wrote before may have been killed between storing a slice and retaining it; it can only be the last one.
  if (last !== undefined) await storage.retention?.retain([last.name]);
  let appended = through;
  let pending: OplogBatch[] = [];
  let pendingBytes = 0;
  let flushing: Promise<unknown> = Promise.resolve();

  const taken = (): Error => chainTaken({ chain, after: showTime(through) });
  const resign = async (): Promise<void> => {
    if (clock.monotonicMs() - signedMs < signEveryMs) return;
    const holder = await readSign();
    if (holder !== undefined && holder.token !== token) throw taken();
    await sign();
  };

  const flush = async (): Promise<Optime> => {
    const batches = pending.slice(0, pending.findLastIndex((batch) => !edges.has(showTime(batch.last))) + 1);
    if (batches.length === 0) return through;
    await resign();
    const last = batches.at(-1)!.last;
    const name = sliceName(names, chain, through, last);
    const slice = encodeSlice(keys, name, through, hash, batches);
    if ((await storage.put(name, slice.bytes, 'new')) === 'exists') throw taken();
    if ((await besideOf(parts, chain, through, name, clock)).length > 0) {
      await storage.delete(name);
      throw taken();
    }
    await storage.retention?.retain([name, ...chainNames]);
    through = slice.through;
    hash = slice.hash;
    pending = pending.slice(batches.length);
    pendingBytes -= batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    return through;
  };

  return {
    get through() {
      return through;
    },
    get pendingBytes() {
      return pendingBytes;
    },
    append(batch) {
      const isOrdered = batch.count > 0 && compareTimes(batch.first, batch.last) <= 0 && batch.first.term >= appended.term && batch.last.term >= batch.first.term;
      if (!isOrdered || compareTimes(batch.first, appended) <= 0) throw oplogNotFollowing({ chain, through: showTime(appended), first: showTime(batch.first) });
      pending = [...pending, batch];
      pendingBytes += batch.bytes.length;
      appended = batch.last;
    },
    async flush() {
      const work = flushing.then(flush);
      flushing = work.catch(() => {});
      return await work;
    },
    async close() {
      await flushing;
      if ((await readSign())?.token === token) await storage.delete(signName);
    },
  };
}

/** The other slices that start at this moment, by a list that has this one. */
async function besideOf({ storage, names }: ArchiveParts, chain: string, after: Optime, name: string, clock: Clock): Promise<string[]> {
  const list = async (): Promise<string[]> => (await Array.fromAsync(storage.list(`${names.day(chain, dayOf(after.t))}${timeKey(after)}-`))).map((slice) => slice.name);
  let found = await list();
  if (!found.includes(name)) {
    await awaitListed(storage, [name], { clock });
    found = await list();
  }
  return found.filter((other) => other !== name);
}

/**
 * By a list that has a lease of its own in it, and so every slice that somebody was told of before: what goes on behind an older end is read by nobody.
 * `edges`: where slices that lie further on begin and end: behind one that is gone, or beside the chain.
 */
async function lookFresh(parts: ArchiveParts, chain: string, stored: StoredChain, clock: Clock): Promise<{ last: SliceName | undefined; edges: ReadonlySet<string> }> {
  const lease = await takeLease({ storage: parts.storage, names: parts.names, objectKey: parts.keys.object, clock }, 'writer');
  try {
    const all = await listParts(parts, chain);
    const last = wayFrom(all, stored.start.after, undefined).at(-1);
    const end = last?.through ?? stored.start.after;
    return { last, edges: new Set(all.flatMap(({ after, through }) => [after, through]).filter((at) => compareTimes(at, end) > 0).map(showTime)) };
  } finally {
    await lease.release();
  }
}

/** How far the chain reaches, and the hash that the next slice carries. */
async function endOf(parts: ArchiveParts, chain: string, stored: StoredChain, last: SliceName | undefined): Promise<{ through: Optime; hash: string }> {
  if (last === undefined) return { through: stored.start.after, hash: chainRoot(chain, stored) };
  const { header, hash } = await openLink(parts, chain, last);
  return { through: header.through, hash };
}
