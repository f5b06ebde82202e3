/** Who works in an archive now, or may: leases that count, and signs of chain writers that are fresh. Reads only. */
import type { Clock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { isHeld, listLeases } from './lease.ts';
import { listChains } from './oplog-archive.ts';
import { signedAt, signedForMs, type Sign } from './oplog-chain-writer.ts';
import { openObject } from './sealed-object.ts';

export type ArchiveHolder = { readonly what: 'writer' | 'sweep' | 'oplog'; readonly seenMs: number; readonly untilMs: number };

export async function holdersOf(parts: ArchiveParts, clock: Clock): Promise<ArchiveHolder[]> {
  const { storage, names, keys } = parts;
  const holders: ArchiveHolder[] = [];
  // Old marks are somebody else's to remove.
  const looking = { ...storage, delete: async () => await Promise.resolve() };
  for (const lease of await listLeases({ storage: looking, names, objectKey: keys.object, clock })) {
    if (await isHeld(lease, clock)) holders.push({ what: lease.kind, seenMs: lease.startedMs, untilMs: lease.untilMs });
  }
  for (const chain of await listChains(parts)) {
    const name = names.chainWriter(chain);
    const found = await storage.stat(name);
    if (found === undefined) continue;
    const sign = await storage.read(name).then((bytes) => openObject(keys.object, name, bytes) as Sign).catch((error: unknown) => {
      if (!isFailure(error)) throw error;
      return undefined;
    });
    const atMs = signedAt(sign, found, clock);
    if (clock.now() - atMs < signedForMs) holders.push({ what: 'oplog', seenMs: atMs, untilMs: atMs + signedForMs });
  }
  return holders;
}
