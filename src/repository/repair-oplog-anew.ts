/**
 * Heals stretches of archived oplog from an archive whose slices have other borders (docs/design/oplog-merging.md#repair).
 *
 * The other archive proves its entries by its own chain. Here they become merged slices: `previous` is the hash that stands before the stretch here, `end`
 * the one that what comes behind it carries. A host can add slices, so no slice is believed because of the moment that it ends at: where both archives have a
 * border there, the hashes must be the same; where they have not, its entries must be those of the other archive. Of a damaged slice whose header
 * can be read, each block must have the hash that it had. One that can be read as a whole is not damaged: what it does not continue is.
 */
import { blake3 } from '@napi-rs/blake-hash';
import { compareTimes, sameTime, showTime, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { deleteUnlessRetained } from './immutable.ts';
import { chainRoot, isSameEntry, type StoredChain } from './oplog-chain.ts';
import { haveSameEntries, plainOf } from './oplog-compare.ts';
import { groupBytes } from './oplog-merge-plan.ts';
import { listParts, openLink, openSlice, readBlock, readEntries, wayFrom, type Link } from './oplog-reader.ts';
import { mergedName, openSliceEncoder, type SliceName } from './oplog-slice.ts';

export type OplogHealing = { readonly parts: ArchiveParts; readonly from: ArchiveParts; readonly chain: string; readonly stored: StoredChain; /** Stored bytes of a piece; a group's by default. */ readonly pieceBytes?: number };

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
async function hurtStretches(healing: OplogHealing, damaged: ReadonlySet<string>): Promise<Stretch[]> {
  const { parts, chain, stored } = healing;
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
      if (damaged.has(slice.name) && !slice.isCut && !(await isWhole(healing, slice))) add(slice.after, slice.through, [slice]);
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

/** False: it cannot be shown that the entries belong there, or what is damaged is locked and stands before what would heal it. */
async function writeAnew(healing: OplogHealing, stretch: Stretch, goesOn: () => void): Promise<boolean> {
  const { parts, from, chain } = healing;
  const ours = await listParts(parts, chain);
  const edges = await edgesOf(healing, stretch, ours);
  if (edges === undefined || !(await areTheEntries(healing, stretch))) return false;
  // A piece that began where a slice begins would stand before that one.
  const begun = new Set(ours.map(({ after }) => showTime(after)));
  const pieces: { name: string; through: Optime }[] = [];
  let { through: after, hash: previous } = edges.before;
  let encoder = openSliceEncoder(parts.keys);
  let first: Buffer | undefined;
  const write = async (through: ClusterTime, end?: string): Promise<void> => {
    const name = mergedName(parts.names, chain, after, through);
    const made = encoder.finish(name, after, previous, end);
    pieces.push({ name, through: made.through });
    if (first === undefined) first = made.bytes;
    else await parts.storage.put(name, made.bytes, 'replace');
    [after, previous] = [made.through, made.hash];
    encoder = openSliceEncoder(parts.keys);
  };
  try {
    for await (const batch of readEntries(from, chain, stretch.after, stretch.through)) {
      goesOn();
      encoder.add(batch);
      // A piece of a long stretch: its hash is its own.
      if (encoder.bytes >= (healing.pieceBytes ?? groupBytes) && compareTimes(batch.last, stretch.through) < 0 && !begun.has(showTime(batch.last))) await write(batch.last);
    }
    await write(stretch.through, edges.end);
    // The first one last: until it is there the way is what it was, and from then on all of them are on it.
    await parts.storage.put(pieces[0]!.name, first!, 'replace');
  } catch (error) {
    for (const { name } of pieces.slice(1)) await deleteUnlessRetained(parts.storage, name).catch(() => false);
    throw error;
  }
  // Not before all of them are on the way: those of a repair that ended early are to be taken back, or written again by the next one.
  await parts.storage.retention?.retain(pieces.map(({ name }) => name));
  return await removeDamaged(parts, stretch, pieces);
}

/** Only what could not be read goes. One that is locked stays beside what heals it, which readers prefer but where it is a longer merged one. */
async function removeDamaged(parts: ArchiveParts, stretch: Stretch, pieces: readonly { name: string; through: ClusterTime }[]): Promise<boolean> {
  let isHealed = true;
  for (const slice of stretch.damaged) {
    if (pieces.some(({ name }) => name === slice.name) || (await deleteUnlessRetained(parts.storage, slice.name))) continue;
    if (slice.isMerged && sameTime(slice.after, stretch.after) && compareTimes(slice.through, pieces[0]!.through) > 0) isHealed = false;
  }
  return isHealed;
}

type Edge = { readonly through: Optime; readonly hash: string };

/** What stands before the stretch, and the hash that it ends with. Undefined where nobody knows, or the two archives have other hashes there. */
async function edgesOf(healing: OplogHealing, stretch: Stretch, ours: readonly SliceName[]): Promise<{ before: Edge; end: string } | undefined> {
  const { parts, from, chain, stored } = healing;
  const { after, through } = stretch;
  const theirs = await listParts(from, chain);
  const before = sameTime(after, stored.start.after) ? { through: stored.start.after, hash: chainRoot(chain, stored) } : await edgeBefore(healing, stretch, ours, theirs);
  const carried = new Set((await linksOf(parts, chain, ours.filter((slice) => sameTime(slice.after, through)))).map(({ link }) => link.header.previous));
  const ends = (await linksOf(from, chain, theirs.filter((slice) => sameTime(slice.through, through)))).map(({ link }) => link.hash);
  // Of several that say something else nobody knows which one is right.
  const end = ends.length > 0 ? ends.find((hash) => carried.size === 0 || carried.has(hash)) : carried.size === 1 ? [...carried][0] : undefined;
  return before === undefined || end === undefined ? undefined : { before, end };
}

/** Of what ends where the stretch starts, the one that is the other archive's too: by its hash or, where that has no border there, by its entries. */
async function edgeBefore(healing: OplogHealing, { after }: Stretch, ours: readonly SliceName[], theirs: readonly SliceName[]): Promise<Edge | undefined> {
  const { parts, from, chain } = healing;
  const endsThere = (slice: SliceName): boolean => sameTime(slice.through, after);
  const there = (await linksOf(from, chain, theirs.filter(endsThere))).map(({ link }) => ({ through: link.header.through, hash: link.hash }));
  const here = await linksOf(parts, chain, ours.filter(endsThere));
  if (here.length === 0) return there[0];
  for (const { slice, link } of here) {
    const isTheirs = there.length > 0 ? there.some(({ hash, through }) => hash === link.hash && isSameEntry(through, link.header.through)) : await hasTheirEntries(healing, slice);
    if (isTheirs) return { through: link.header.through, hash: link.hash };
  }
  return undefined;
}

/** Over a data channel nobody puts a cut or a merged slice; of any other one the other archive must have what is in it. */
async function hasTheirEntries({ parts, from, chain }: OplogHealing, slice: SliceName): Promise<boolean> {
  if (slice.isCut || slice.isMerged) return true;
  async function* theirs(): AsyncGenerator<Uint8Array> {
    for await (const { bytes } of readEntries(from, chain, slice.after, slice.through)) yield bytes;
  }
  return (await haveSameEntries(plainOf(parts, chain, [slice]), theirs()).catch(passBy)) ?? false;
}

/** Of those that are sound. */
async function linksOf(parts: ArchiveParts, chain: string, slices: readonly SliceName[]): Promise<{ slice: SliceName; link: Link }[]> {
  const found: { slice: SliceName; link: Link }[] = [];
  for (const slice of slices) {
    const link = await openLink(parts, chain, slice).catch(passBy);
    if (link !== undefined) found.push({ slice, link });
  }
  return found;
}

async function isWhole({ parts, chain }: OplogHealing, slice: SliceName): Promise<boolean> {
  const opened = await openSlice(parts, chain, slice).catch(passBy);
  if (opened === undefined) return false;
  for (let index = 0; index < opened.header.blocks.length; index++) if ((await readBlock(parts, chain, slice, opened, index).catch(passBy)) === undefined) return false;
  return true;
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
