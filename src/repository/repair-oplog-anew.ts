/**
 * Heals stretches of archived oplog from an archive whose slices have other borders (docs/design/oplog-merging.md#repair).
 *
 * The other archive proves its entries by its own chain. Here they become merged slices: `previous` is the hash that stands before the stretch here, `end`
 * the one that what comes behind it carries. Where both archives have a border, the hashes there must be the same; of a damaged slice whose
 * header can be read, each block must have the hash that it had.
 */
import { blake3 } from '@napi-rs/blake-hash';
import { compareTimes, sameTime, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { chainRoot, isSameEntry, type StoredChain } from './oplog-chain.ts';
import { groupBytes } from './oplog-merge-plan.ts';
import { listParts, openLink, openSlice, readEntries, wayFrom } from './oplog-reader.ts';
import { mergedName, openSliceEncoder, type SliceName } from './oplog-slice.ts';

export type OplogHealing = { readonly parts: ArchiveParts; readonly from: ArchiveParts; readonly chain: string; readonly stored: StoredChain };

type Stretch = { readonly after: ClusterTime; through: ClusterTime; readonly damaged: SliceName[] };

export async function healAnew(healing: OplogHealing, damaged: ReadonlySet<string>, healed: (object: string) => void, goesOn: () => void): Promise<void> {
  const { parts, chain } = healing;
  for (const stretch of await hurtStretches(healing, damaged)) {
    goesOn();
    if ((await writeAnew(healing, stretch, goesOn).catch(passBy)) !== true) continue;
    for (const { name } of stretch.damaged) healed(name);
    if (stretch.damaged.length === 0) healed(parts.names.slices(chain));
  }
}

/** What of the chain is damaged or missing here; what stands side by side is one stretch. */
async function hurtStretches({ parts, chain, stored }: OplogHealing, damaged: ReadonlySet<string>): Promise<Stretch[]> {
  const found: Stretch[] = [];
  const add = (after: ClusterTime, through: ClusterTime, slices: readonly SliceName[]): void => {
    const last = found.at(-1);
    if (last === undefined || !sameTime(last.through, after)) return void found.push({ after, through, damaged: [...slices] });
    last.through = through;
    last.damaged.push(...slices);
  };
  let left = await listParts(parts, chain);
  let at: ClusterTime = stored.start.after;
  for (;;) {
    for (const slice of wayFrom(left, at, undefined)) {
      if (damaged.has(slice.name) && !slice.isCut) add(slice.after, slice.through, [slice]);
      at = slice.through;
    }
    const from = at;
    left = left.filter(({ after }) => compareTimes(after, from) > 0);
    const [next] = left;
    if (next === undefined) return found;
    add(at, next.after, []);
    at = next.after;
  }
}

/** False: it cannot be shown that the entries belong there. */
async function writeAnew(healing: OplogHealing, stretch: Stretch, goesOn: () => void): Promise<boolean> {
  const { parts, from, chain } = healing;
  const edges = await edgesOf(healing, stretch);
  if (edges === undefined || !(await areTheEntries(healing, stretch))) return false;
  const names: string[] = [];
  let { through: after, hash: previous } = edges.before;
  let encoder = openSliceEncoder(parts.keys);
  const write = async (through: ClusterTime, end?: string): Promise<void> => {
    const name = mergedName(parts.names, chain, after, through);
    const made = encoder.finish(name, after, previous, end);
    await parts.storage.put(name, made.bytes, 'replace');
    names.push(name);
    [after, previous] = [made.through, made.hash];
    encoder = openSliceEncoder(parts.keys);
  };
  for await (const batch of readEntries(from, chain, stretch.after, stretch.through)) {
    goesOn();
    encoder.add(batch);
    // A piece of a long stretch: its hash is its own.
    if (encoder.bytes >= groupBytes && compareTimes(batch.last, stretch.through) < 0) await write(batch.last);
  }
  await write(stretch.through, edges.end);
  for (const { name } of stretch.damaged) if (!names.includes(name)) await parts.storage.delete(name);
  return true;
}

type Edge = { readonly through: Optime; readonly hash: string };

/** What stands before the stretch, and the hash that it ends with. Undefined where nobody knows, or the two archives have other hashes there. */
async function edgesOf(healing: OplogHealing, { after, through }: Stretch): Promise<{ before: Edge; end: string } | undefined> {
  const { parts, from, chain, stored } = healing;
  const [ours, theirs] = [await listParts(parts, chain), await listParts(from, chain)];
  const root = sameTime(after, stored.start.after) ? { through: stored.start.after, hash: chainRoot(chain, stored) } : undefined;
  const [before, there] = [root ?? (await edgeAt(parts, chain, ours, after)), root ?? (await edgeAt(from, chain, theirs, after))];
  const [behind, endThere] = [await carriedAt(parts, chain, ours, through), (await edgeAt(from, chain, theirs, through))?.hash];
  if (before !== undefined && there !== undefined && (before.hash !== there.hash || !isSameEntry(before.through, there.through))) return undefined;
  if (behind !== undefined && endThere !== undefined && behind !== endThere) return undefined;
  const [start, end] = [before ?? there, behind ?? endThere];
  return start === undefined || end === undefined ? undefined : { before: start, end };
}

/** The hash of a whole slice or cut that ends at this moment. */
async function edgeAt(parts: ArchiveParts, chain: string, slices: readonly SliceName[], at: ClusterTime): Promise<Edge | undefined> {
  for (const slice of slices.filter(({ through }) => sameTime(through, at))) {
    const link = await openLink(parts, chain, slice).catch(passBy);
    if (link !== undefined) return { through: link.header.through, hash: link.hash };
  }
  return undefined;
}

/** The hash that a whole slice or cut which starts at this moment carries. */
async function carriedAt(parts: ArchiveParts, chain: string, slices: readonly SliceName[], at: ClusterTime): Promise<string | undefined> {
  for (const slice of slices.filter(({ after }) => sameTime(after, at))) {
    const link = await openLink(parts, chain, slice).catch(passBy);
    if (link !== undefined) return link.header.previous;
  }
  return undefined;
}

/** Of a damaged slice whose header can be read: whether the other archive has what was in each of its blocks. */
async function areTheEntries({ parts, from, chain }: OplogHealing, { damaged }: Stretch): Promise<boolean> {
  for (const slice of damaged) {
    const opened = await openSlice(parts, chain, slice).catch(passBy);
    let at: ClusterTime = slice.after;
    for (const block of opened?.header.blocks ?? []) {
      const pieces: Uint8Array[] = [];
      for await (const { bytes } of readEntries(from, chain, at, block.last)) pieces.push(bytes);
      if (blake3(Buffer.concat(pieces)).toString('hex') !== block.hash) return false;
      at = block.last;
    }
  }
  return true;
}

function passBy(error: unknown): undefined {
  if (isFailure(error) && /^repository\.(oplog-|object-|chain-missing)/.test(error.code)) return undefined;
  throw error;
}
