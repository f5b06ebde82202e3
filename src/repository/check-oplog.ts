import { compareTimes, sameTime, showTime, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { isOfPlace } from './damage.ts';
import type { CheckRun } from './check.ts';
import { readChain, type StoredChain } from './oplog-chain.ts';
import { listAllSlices, openLink, openSlice, readBlock, requireFollowing, wayFrom, type Link } from './oplog-reader.ts';
import type { SliceName } from './oplog-slice.ts';
import { chosenOf } from './slice-of-check.ts';
import { openObject } from './sealed-object.ts';

type Span = { after: ClusterTime; through: ClusterTime };

/** The spans of oplog that cannot be read. */
export async function checkOplog(run: CheckRun): Promise<Span[]> {
  const hurt: Span[] = [];
  for (const [chain, slices] of await listAllSlices(run.parts)) {
    const stored = await readStart(run, chain);
    if (stored === undefined) {
      if (slices.length > 0) hurt.push({ after: slices[0]!.after, through: slices.at(-1)!.through });
      continue;
    }
    await checkBarriers(run, chain);
    hurt.push(...(await checkChain(run, chain, stored, slices)));
  }
  return hurt;
}

async function readStart(run: CheckRun, chain: string): Promise<StoredChain | undefined> {
  try {
    return await readChain(run.parts, chain);
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    run.damage.push({ object: run.parts.names.chainStart(chain), what: error.message });
    return undefined;
  }
}

async function checkChain(run: CheckRun, chain: string, stored: StoredChain, slices: readonly SliceName[]): Promise<Span[]> {
  const hurt: Span[] = [];
  const read = chosenOf(slices.map(({ name }) => name), run.options, run.seed);
  let before: Link | undefined;
  let left = [...slices];
  let at: ClusterTime = stored.start.after;
  while (left.length > 0) {
    const way = wayFrom(left, at, undefined);
    for (const slice of way) {
      run.progress(0);
      const opened = await checkSlice(run, chain, stored, slice, before, read.has(slice.name));
      if (opened === undefined) hurt.push({ after: slice.after, through: slice.through });
      before = opened;
      at = slice.through;
    }
    left = left.filter((slice) => compareTimes(slice.after, at) > 0);
    const next = left[0];
    if (next === undefined) break;
    run.damage.push({ object: run.parts.names.slices(chain), what: `the entries of (${showTime(at)}, ${showTime(next.after)}] are missing` });
    hurt.push({ after: { t: at.t, i: at.i }, through: next.after });
    before = undefined;
    at = next.after;
  }
  return hurt;
}

/** Undefined, and damage in the report, when the slice is not sound. */
async function checkSlice(run: CheckRun, chain: string, stored: StoredChain, slice: SliceName, before: Link | undefined, readBlocks: boolean): Promise<Link | undefined> {
  try {
    const link = await openLink(run.parts, chain, slice);
    const isLinked = before !== undefined || sameTime(slice.after, stored.start.after);
    if (isLinked) requireFollowing(chain, stored, slice, link, before);
    if (slice.isCut || !readBlocks) return link;
    const opened = await openSlice(run.parts, chain, slice);
    for (let index = 0; index < opened.header.blocks.length; index++) {
      run.progress((await readBlock(run.parts, chain, slice, opened, index)).length);
    }
    return opened;
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    run.damage.push({ object: slice.name, what: error.message });
    return undefined;
  }
}

async function checkBarriers(run: CheckRun, chain: string): Promise<void> {
  const { storage, names, keys } = run.parts;
  for await (const { name } of storage.list(names.barriers(chain))) {
    try {
      openObject(keys.object, name, await storage.read(name));
    } catch (error) {
      if (!isFailure(error) || isOfPlace(error)) throw error;
      run.damage.push({ object: name, what: error.message });
    }
  }
}
