/**
 * Sweep: gives back the space of chunks that no restore point needs.
 *
 * Promise: a sweep killed at any moment leaves every restore point readable, and the next one goes on.
 *
 * Order, and why:
 *   1. take the sweep lease    one sweep at a time, also against one that is only slow
 *   2. list packs              before restore points, so a pack written meanwhile is not on the list
 *   3. mark                    chunks used by any restore point
 *   4. retire                  the packs worth it, in one object: readers still find them, new writers build on them no longer
 *   5. wait                    until every writer that may not have seen step 4 has ended; a dead one's lease is broken
 *   6. mark again              a chunk adopted between 3 and 5 is a survivor too
 *   7. move survivors          into new packs: durable, read back, in the index
 *   8. delete retired packs    the only step that loses bytes; a reader that misses one reads the index again
 *   9. forget the retirement   only now may the names be unknown again
 *
 * What is retired is never taken back: it is moved and deleted, by this sweep or, when this one is killed or a writer does
 * not end in time, by the next. So two sweeps that both believe to be alone delete nothing that somebody builds on.
 *
 * A pack in which a check found damage is not moved out of, because that would meet the damage. It goes when nothing in it
 * is needed any more; other places of its chunks are preferred, so that this comes about.
 *
 * In an immutable repository what is retained is not retired, and where it was retained meanwhile, by a backup that built on it, it
 * stays for a later sweep, and so does its retirement. The report says until when.
 *
 * Lists may lag (fresh-list.ts): steps 2 and 5 begin when a list has the lease and the retirement, and step 6 when none has the leases
 * that were waited for. Nothing is deleted by an older list.
 *
 * Not promised: the least possible space (docs/design/repository-sweep.md, "Why not exact").
 */
import { sortableId } from '../base/ids.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { otherPacks } from './chunk.ts';
import { openChunkIndex, type ChunkIndex } from './chunk-index.ts';
import { forgetDistrust, readDistrusted } from './distrusted.ts';
import { mergeSegments } from './index-merge.ts';
import { tagBytes } from './keys.ts';
import { awaitListed, awaitUnlisted } from './fresh-list.ts';
import { breakLease, isHeld, leaseMs, type Lease, type LeaseState } from './lease.ts';
import { lastPart } from './object-names.ts';
import { listRetirements, retire, type Retirement } from './retired.ts';
import { measureUse, worthRetiring } from './sweep-choice.ts';
import { withSweepLease } from './sweep-lease.ts';
import { markChunks, type Kept } from './sweep-marks.ts';
import { openChunkMover } from './sweep-move.ts';
import type { StoredObject } from './storage/storage.ts';

export type SweepOptions = {
  readonly clock?: Clock;
  readonly onProgress?: (step: string) => void;
  /** How much was moved, of what was measured before; null: not all of it was, because a killed sweep chose some. */
  readonly onMoved?: (bytes: number, of: number | null) => void;
  readonly signal?: AbortSignal;
  /** How long to wait for backups that are running; what they may need is left to the next sweep. */
  readonly waitMs?: number;
};

export type SweepReport = {
  /** Of packs that were deleted, less what was written again. */
  freedBytes: number;
  deletedPacks: number;
  /** Packs that survivors were moved out of. */
  rewrittenPacks: number;
  keptBytes: number;
  /** Of packs that would go or be rewritten, and are still retained. */
  retainedBytes: number;
  /** When the first of them can go; null: there are none, or the place does not say. */
  retainedUntilMs: number | null;
};

const waitMsByDefault = 60_000;
const lookEveryMs = 500;

export async function sweepArchive(parts: ArchiveParts, options: SweepOptions): Promise<SweepReport> {
  const clock = options.clock ?? systemClock;
  return await withSweepLease(parts, clock, async (lease, leases) => await sweep({ parts, clock, options, lease, leases }));
}

type Run = { readonly parts: ArchiveParts; readonly clock: Clock; readonly options: SweepOptions; readonly lease: Lease; readonly leases: () => Promise<LeaseState[]> };

async function sweep(run: Run): Promise<SweepReport> {
  const { parts, options, clock } = run;
  const step = (what: string): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.(what);
  };
  const sizes = new Map<string, number>();
  const report: SweepReport = { freedBytes: 0, deletedPacks: 0, rewrittenPacks: 0, keptBytes: 0, retainedBytes: 0, retainedUntilMs: null };
  const { retirements, liveBytes } = await chooseAndRetire(run, step, sizes, report);
  const kept = (): number => [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const index = await openChunkIndex(parts.storage, parts.keys, parts.names, parts.packs);
  await index.coverPacks();
  if (retirements.length > 0) {
    step('wait for backups that are running');
    // A list that has the last retirement has every lease whose holder may not have read it.
    await awaitListed(parts.storage, retirements.map(({ name }) => name), { clock, signal: options.signal });
    if (!(await haveEnded(run, await run.leases(), clock))) return { ...report, keptBytes: kept() };
    await index.reload();
    await index.coverPacks();
    await finishRetirements(run, step, index, { retirements, liveBytes }, sizes, report);
  }
  step('merge the index');
  await index.coverPacks();
  await mergeSegments(parts, index, { mostEntries: Number.POSITIVE_INFINITY, all: report.deletedPacks > 0 });
  await forgetDistrust(parts, sizes);
  return { ...report, keptBytes: kept() };
}

type Chosen = { readonly retirements: readonly Retirement[]; /** What is needed of the packs that go. */ readonly liveBytes: number | null };

/** Steps 2 to 4. Answers every retirement that is to be finished, those of killed sweeps first. */
async function chooseAndRetire(run: Run, step: (what: string) => void, sizes: Map<string, number>, report: SweepReport): Promise<Chosen> {
  const { parts, clock, options } = run;
  const { found: left, damaged } = await listRetirements(parts);
  // Nobody knows what they retired, and writers do not heed them.
  for (const { object } of damaged) await parts.storage.delete(object);
  const retired = new Set(left.flatMap(({ packs }) => packs));
  step('list packs');
  const listed: StoredObject[] = [];
  for await (const object of parts.storage.list(parts.names.packs)) listed.push(object);
  for (const { name, bytes } of listed) sizes.set(lastPart(name), bytes);
  // What a running backup stores now is not marked by any point yet; it is left alone, which saves moving it.
  const writers = (await run.leases()).filter(({ kind }) => kind === 'writer');
  const youngestMs = Math.min(...writers.map(({ startedMs }) => startedMs - leaseMs), Number.POSITIVE_INFINITY);
  const candidates = new Map(listed.filter(({ name, modifiedMs }) => modifiedMs < youngestMs && !retired.has(lastPart(name))).map(({ name, bytes }) => [lastPart(name), bytes]));
  const index = await openChunkIndex(parts.storage, parts.keys, parts.names, parts.packs);
  await index.coverPacks();
  step('mark what restore points need');
  const distrusted = await readDistrusted(parts);
  const nowhere = new Set<string>();
  const marks = await markChunks(parts, index, new Set([...retired, ...distrusted]), async () => options.signal?.throwIfAborted(), (id) => void nowhere.add(id));
  if (nowhere.size > 0) {
    step(untouched(nowhere.size));
    return { retirements: [], liveBytes: null };
  }
  step('measure the packs');
  const uses = await measureUse(parts, new Map([...sizes].filter(([pack]) => !retired.has(pack))), marks, options.signal);
  const worth = worthRetiring(uses.filter(({ pack, liveBytes }) => candidates.has(pack) && (liveBytes === 0 || !distrusted.has(pack))));
  const chosen = await withoutRetained(parts, worth, sizes, report);
  if (chosen.length === 0) return { retirements: left, liveBytes: null };
  const name = parts.names.retired(sortableId(clock));
  step(`retire ${chosen.length} packs`);
  await retire(parts, name, clock.now(), chosen);
  const goes = new Set(chosen);
  const liveBytes = left.length > 0 ? null : uses.reduce((sum, use) => sum + (goes.has(use.pack) ? use.liveBytes : 0), 0);
  return { retirements: [...left, { name, atMs: clock.now(), packs: chosen }], liveBytes };
}

/** Those that can go now; the others are told in the report. */
async function withoutRetained({ storage, names }: ArchiveParts, packs: readonly string[], sizes: ReadonlyMap<string, number>, report: SweepReport): Promise<string[]> {
  if (storage.retention?.until === undefined || packs.length === 0) return [...packs];
  const untils = await storage.retention.until(packs.map(names.pack));
  return packs.filter((pack, at) => {
    const untilMs = untils[at] ?? null;
    if (untilMs === null) return true;
    report.retainedBytes += sizes.get(pack) ?? 0;
    report.retainedUntilMs = Math.min(report.retainedUntilMs ?? untilMs, untilMs);
    return false;
  });
}

/** Whether all of these writers have ended, waiting for them as long as it is allowed. */
async function haveEnded(run: Run, seen: readonly LeaseState[], clock: Clock): Promise<boolean> {
  const { parts, options } = run;
  const writers = new Set(seen.filter(({ kind }) => kind === 'writer').map(({ name }) => name));
  const untilMs = clock.monotonicMs() + (options.waitMs ?? waitMsByDefault);
  for (;;) {
    let waiting = false;
    for (const lease of await run.leases()) {
      if (!writers.has(lease.name)) continue;
      if (await isHeld(lease, clock)) waiting = true;
      else await breakLease(parts.storage, lease);
    }
    if (!waiting) {
      // A list that lacks their leases has the points that they published before.
      await awaitUnlisted(parts.storage, [...writers], { clock, signal: options.signal });
      return true;
    }
    if (clock.monotonicMs() >= untilMs) return false;
    await clock.wait(lookEveryMs, options.signal);
  }
}

/** The pack that has them may be away for a moment, and be there again with chunks that refer to others. */
function untouched(chunks: number): string {
  return `${chunks} chunks that restore points need are in no pack: nothing is deleted until they are healed, or the points are gone`;
}

/** Steps 6 to 9. */
async function finishRetirements(run: Run, step: (what: string) => void, index: ChunkIndex, { retirements, liveBytes }: Chosen, sizes: Map<string, number>, report: SweepReport): Promise<void> {
  const { parts, lease, options } = run;
  const retired = new Set(retirements.flatMap(({ packs }) => packs));
  step('mark again');
  const survivors: Kept[] = [];
  const rewritten = new Set<string>();
  const nowhere = new Set<string>();
  await markChunks(parts, index, new Set([...retired, ...(await readDistrusted(parts))]), async (kept) => {
    options.signal?.throwIfAborted();
    const from = await retiredPacksOf(parts, kept, retired);
    if (from.length === 0) return;
    survivors.push(kept);
    for (const pack of from) rewritten.add(pack);
  }, (id) => void nowhere.add(id));
  if (nowhere.size > 0) return step(untouched(nowhere.size));
  step(`move ${survivors.length} chunks`);
  const mover = openChunkMover(parts, index, retired);
  let written = 0;
  try {
    for (const kept of survivors) {
      options.signal?.throwIfAborted();
      await mover.move(kept);
      options.onMoved?.(mover.takenBytes, liveBytes);
    }
    written = (await mover.finish()).bytes;
  } catch (error) {
    await mover.abort();
    throw error;
  }
  await index.flush();
  const going = new Set(await withoutRetained(parts, [...retired], sizes, report));
  step(`delete ${going.size} packs`);
  for (const pack of going) {
    await lease.confirm();
    await parts.storage.delete(parts.names.pack(pack));
    report.freedBytes += sizes.get(pack) ?? 0;
    report.deletedPacks += sizes.delete(pack) ? 1 : 0;
  }
  report.freedBytes -= written;
  report.rewrittenPacks = rewritten.size;
  for await (const { name, bytes } of parts.storage.list(parts.names.packs)) if (!sizes.has(lastPart(name))) sizes.set(lastPart(name), bytes);
  for (const { name, packs } of retirements) if (packs.every((pack) => going.has(pack))) await parts.storage.delete(name);
}

/** The packs among those that go which a chunk needs: its own, or of frames it refers to. */
async function retiredPacksOf(parts: ArchiveParts, { id, place }: Kept, retired: ReadonlySet<string>): Promise<string[]> {
  const found = retired.has(place.pack) ? [place.pack] : [];
  if (otherPacks(place.bytes - tagBytes) === 0) return found;
  const { frames } = await parts.packs.readHeader(id, place);
  return [...new Set([...found, ...frames.flatMap((frame) => (frame.pack !== undefined && retired.has(frame.pack) ? [frame.pack] : []))])];
}
