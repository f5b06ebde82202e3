/**
 * Heals the archived oplog from another archive of the set: the start of a chain, its barriers, and its slices where a check
 * found them damaged or missing. A slice is the same one to the byte, because its name is the same and its header continues
 * the one that stands before it here; whatever does not fit is left as it is. Where the other archive has other borders, its entries are
 * written anew (repair-oplog-anew.ts).
 */
import { compareTimes, sameTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { CheckReport } from './check.ts';
import { copyBarriers, reseal } from './copy-oplog.ts';
import { readChain, type StoredChain } from './oplog-chain.ts';
import { listChains } from './oplog-archive.ts';
import { listParts, listUnder, openSlice, requireFollowing, wayFrom } from './oplog-reader.ts';
import type { OpenedSlice, SliceName } from './oplog-slice.ts';
import { isInside } from './oplog-trim.ts';
import { healAnew } from './repair-oplog-anew.ts';
import { sealObject } from './sealed-object.ts';

export async function repairOplog(parts: ArchiveParts, from: ArchiveParts, { hurtOplog, damage }: CheckReport, healed: (object: string) => void, goesOn: () => void): Promise<void> {
  const damaged = new Set(damage.map(({ object }) => object));
  for (const chain of await listChains(from)) {
    const stored = await readChain(from, chain).catch(passBy);
    if (stored === undefined) continue;
    await healStart(parts, chain, stored, damaged, healed);
    await healBarriers(parts, from, chain, damaged, healed);
    const merged = (await listUnder(parts, parts.names.slices(chain))).filter(({ name, isMerged }) => isMerged && damaged.has(name));
    for (const slice of wayFrom(await listParts(from, chain), stored.start.after, undefined)) {
      goesOn();
      // A damaged merged slice would stand before it.
      if (slice.isCut || merged.some((one) => one.name !== slice.name && isInside(slice, one))) continue;
      const isHurt = hurtOplog.some(({ after, through }) => compareTimes(after, slice.after) <= 0 && compareTimes(slice.through, through) <= 0);
      if (!isHurt || (!damaged.has(slice.name) && (await parts.storage.stat(slice.name)) !== undefined)) continue;
      if ((await healSlice(parts, from, chain, stored, slice).catch(passBy)) === true) {
        healed(damaged.has(slice.name) ? slice.name : parts.names.slices(chain));
        damaged.delete(slice.name);
      }
    }
    if (hurtOplog.length > 0) await healAnew({ parts, from, chain, stored }, damaged, healed, goesOn);
  }
}

async function healStart(parts: ArchiveParts, chain: string, stored: StoredChain, damaged: ReadonlySet<string>, healed: (object: string) => void): Promise<void> {
  const name = parts.names.chainStart(chain);
  if (!damaged.has(name)) return;
  await parts.storage.put(name, sealObject(parts.keys.object, name, stored), 'replace');
  healed(name);
}

async function healBarriers(parts: ArchiveParts, from: ArchiveParts, chain: string, damaged: ReadonlySet<string>, healed: (object: string) => void): Promise<void> {
  const hurt = [...damaged].filter((name) => name.startsWith(parts.names.barriers(chain)));
  for (const name of hurt) {
    if ((await from.storage.stat(name)) === undefined) continue;
    await copyBarriers(from, parts, chain, name);
    healed(name);
  }
}

async function healSlice(parts: ArchiveParts, from: ArchiveParts, chain: string, stored: StoredChain, slice: SliceName): Promise<boolean> {
  const { bytes, opened } = await reseal(from, parts, chain, slice);
  requireFollowing(chain, stored, slice, opened, await sliceBefore(parts, chain, slice));
  await parts.storage.put(slice.name, bytes, 'replace');
  await parts.storage.retention?.retain([slice.name]);
  return true;
}

/** The one that ends where this one starts, if it is there and whole. */
async function sliceBefore(parts: ArchiveParts, chain: string, slice: SliceName): Promise<OpenedSlice | undefined> {
  for (const one of await listUnder(parts, parts.names.slices(chain))) {
    if (!sameTime(one.through, slice.after)) continue;
    const opened = await openSlice(parts, chain, one).catch(passBy);
    if (opened !== undefined) return opened;
  }
  return undefined;
}

function passBy(error: unknown): undefined {
  if (isFailure(error) && /^repository\.(oplog-|object-|chain-missing)/.test(error.code)) return undefined;
  throw error;
}
