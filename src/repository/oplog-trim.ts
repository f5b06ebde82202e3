/**
 * Takes archived oplog away that nobody needs any more (docs/design/oplog-retention.md).
 *
 *   planTrim    which stretches would go; reads names only
 *   cutOplog    a cut for each: from then on it is a gap, and every byte is still there
 *   emptyCuts   what cuts stand for: slices, oldest first, then barriers and smaller cuts; of a chain that is nothing but a cut all, its start last
 *
 * Between the two the caller makes sure that nobody who began before the cuts still reads. Both hold a sweep's lease. A kill at any
 * write leaves chains that are proved from start to end, and the next run goes on.
 *
 * The last slice of the newest chain stays whatever is needed: its writer goes on behind it. A stretch with a damaged slice beside it
 * stays too: a cut carries the hashes of what stands there. It is told, and keeps nothing else from going.
 */
import { compareTimes, timeFromKey, type ClusterTime } from '../base/cluster-time.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { isOfPlace } from './damage.ts';
import { oplogDamaged } from './failures.ts';
import { deleteUnlessRetained } from './immutable.ts';
import type { Lease } from './lease.ts';
import { lastPart } from './object-names.ts';
import { listChains } from './oplog-archive.ts';
import { chainRoot, readableChain, readChain, type StoredChain } from './oplog-chain.ts';
import { putCut, type Cut } from './oplog-cuts.ts';
import { listParts, openLink, wayFrom, type Link, type ListChain } from './oplog-reader.ts';
import type { SliceName } from './oplog-slice.ts';
import { withSweepLease } from './sweep-lease.ts';

export type TrimStretch = { readonly chain: string; readonly after: ClusterTime; readonly through: ClusterTime };
export type TrimPlan = {
  /** What would be cut, and the bytes of its slices. */
  readonly goes: readonly (TrimStretch & { readonly slices: number; readonly bytes: number })[];
  /** Cuts that stand for something that is still there. */
  readonly full: readonly TrimStretch[];
  /** Of slices that would go and are still retained. */
  readonly retainedBytes: number;
  readonly retainedUntilMs: number | null;
};
export type TrimOptions = { readonly clock?: Clock; readonly signal?: AbortSignal };

/** Whether any of these entries is needed. */
export type IsNeeded = (after: ClusterTime, through: ClusterTime) => boolean;

type Run = { readonly first: number; readonly last: number };
type ChainPlan = { readonly chain: string; readonly stored: StoredChain; readonly way: readonly SliceName[]; readonly runs: readonly Run[]; readonly full: readonly TrimStretch[]; readonly retained: { bytes: number; untilMs: number | null } };

export async function planTrim(parts: ArchiveParts, isNeeded: IsNeeded, list?: ListChain): Promise<TrimPlan> {
  return planOf(await planChains(parts, isNeeded, list));
}

/** `stays`: stretches that would go, and why they cannot be cut out. */
export type TrimDone = TrimPlan & { readonly stays: readonly (TrimStretch & { readonly why: string })[] };

/**
 * Answers the plan that it carried out, with the cuts it made among those that stand for something. What is needed is asked
 * once the lease is held: from then on lists are new enough (fresh-list.ts).
 */
export async function cutOplog(parts: ArchiveParts, needed: () => Promise<IsNeeded>, options: TrimOptions = {}): Promise<TrimDone> {
  return await withSweepLease(parts, options.clock ?? systemClock, async (lease) => {
    const plans = await planChains(parts, await needed());
    const stays: (TrimStretch & { why: string })[] = [];
    const done: ChainPlan[] = [];
    for (const plan of plans) {
      const runs: Run[] = [];
      for (const run of plan.runs) {
        options.signal?.throwIfAborted();
        const cut = await cutOf(parts, plan, run).catch((error: unknown) => {
          if (!isFailure(error) || isOfPlace(error)) throw error;
          stays.push({ chain: plan.chain, after: plan.way[run.first]!.after, through: plan.way[run.last]!.through, why: error.message });
          return undefined;
        });
        if (cut === undefined) continue;
        await lease.confirm();
        await putCut(parts, plan.chain, cut);
        runs.push(run);
      }
      done.push({ ...plan, runs });
    }
    const plan = planOf(done);
    return { ...plan, full: [...plan.full, ...plan.goes], stays };
  });
}

function planOf(plans: readonly ChainPlan[]): TrimPlan {
  const untils = plans.flatMap(({ retained }) => retained.untilMs ?? []);
  return {
    goes: plans.flatMap(({ chain, way, runs }) =>
      runs.map(({ first, last }) => {
        const slices = way.slice(first, last + 1).filter(({ isCut }) => !isCut);
        return { chain, after: way[first]!.after, through: way[last]!.through, slices: slices.length, bytes: slices.reduce((sum, { bytes }) => sum + bytes, 0) };
      }),
    ),
    full: plans.flatMap(({ full }) => [...full]),
    retainedBytes: plans.reduce((sum, { retained }) => sum + retained.bytes, 0),
    retainedUntilMs: untils.length === 0 ? null : Math.min(...untils),
  };
}

/** Chains whose start can be read; of another one nobody knows where it leads. */
async function planChains(parts: ArchiveParts, isNeeded: IsNeeded, list: ListChain = async (chain) => await listParts(parts, chain)): Promise<ChainPlan[]> {
  const plans: ChainPlan[] = [];
  const chains = await listChains(parts);
  for (const chain of chains) {
    const stored = await readableChain(parts, chain);
    if (stored !== undefined) plans.push(await planChain({ parts, chain, stored, all: await list(chain), isNewest: chain === chains.at(-1), isNeeded }));
  }
  return plans;
}

async function planChain({ parts, chain, stored, all, isNewest, isNeeded }: { parts: ArchiveParts; chain: string; stored: StoredChain; all: readonly SliceName[]; isNewest: boolean; isNeeded: IsNeeded }): Promise<ChainPlan> {
  const way = wayFrom(all, stored.start.after, undefined);
  const mayGo = way.map(({ after, through, isCut }, at) => isCut || !(isNeeded(after, through) || (isNewest && at === way.length - 1)));
  const retained = await keepRetained(parts, way, mayGo);
  const runs = runsOf(mayGo).filter(({ first, last }) => way.slice(first, last + 1).some(({ isCut }) => !isCut) || last > first);
  const onWay = new Set(way.map(({ name }) => name));
  const others = all.filter(({ name }) => !onWay.has(name));
  const isDone = !isNewest && way.every(({ isCut }) => isCut) && !isNeeded(stored.start.after, way.at(-1)?.through ?? stored.start.after);
  const full = way.filter((cut) => cut.isCut && (isDone || others.some((part) => isInside(part, cut)))).map(({ after, through }) => ({ chain, after, through }));
  const empty = isDone && way.length === 0 ? [{ chain, after: stored.start.after, through: stored.start.after }] : [];
  return { chain, stored, way, runs, full: [...full, ...empty], retained };
}

/** What is retained does not go; only the stretches that would go are asked for. */
async function keepRetained({ storage }: ArchiveParts, way: readonly SliceName[], mayGo: boolean[]): Promise<{ bytes: number; untilMs: number | null }> {
  const retained = { bytes: 0, untilMs: null as number | null };
  const asked = way.flatMap((slice, at) => (mayGo[at] === true && !slice.isCut ? [at] : []));
  if (storage.retention?.until === undefined || asked.length === 0) return retained;
  const untils = await storage.retention.until(asked.map((at) => way[at]!.name));
  for (const [place, at] of asked.entries()) {
    const untilMs = untils[place] ?? null;
    if (untilMs === null) continue;
    mayGo[at] = false;
    retained.bytes += way[at]!.bytes;
    retained.untilMs = Math.min(retained.untilMs ?? untilMs, untilMs);
  }
  return retained;
}

function runsOf(mayGo: readonly boolean[]): Run[] {
  const runs: Run[] = [];
  for (let first = 0; first < mayGo.length; first++) {
    if (mayGo[first] !== true) continue;
    let last = first;
    while (mayGo[last + 1] === true) last++;
    runs.push({ first, last });
    first = last;
  }
  return runs;
}

/** From what stands before and behind, which must be readable; what goes need not be. */
async function cutOf(parts: ArchiveParts, { chain, stored, way }: ChainPlan, { first, last }: Run): Promise<Cut> {
  const before: Pick<Link, 'hash'> & { through: Link['header']['through'] } = first === 0 ? { through: stored.start.after, hash: chainRoot(chain, stored) } : await linkBefore(parts, chain, way[first - 1]!);
  const behind = way[last + 1];
  if (behind !== undefined) {
    const { header } = await openLink(parts, chain, behind);
    return { after: before.through, through: header.after, previous: before.hash, hash: header.previous };
  }
  const end = await openLink(parts, chain, way[last]!).catch((error: unknown) => {
    if (!isFailure(error, oplogDamaged)) throw error;
    // Nothing comes behind it that could carry its hash.
    return { header: { through: { ...way[last]!.through, term: -1 } }, hash: '' };
  });
  return { after: before.through, through: end.header.through, previous: before.hash, hash: end.hash };
}

async function linkBefore(parts: ArchiveParts, chain: string, slice: SliceName): Promise<{ through: Link['header']['through']; hash: string }> {
  const { header, hash } = await openLink(parts, chain, slice);
  return { through: header.through, hash };
}

export type EmptyReport = { freedBytes: number; slices: number; chains: number };

export async function emptyCuts(parts: ArchiveParts, cuts: readonly TrimStretch[], options: TrimOptions = {}): Promise<EmptyReport> {
  return await withSweepLease(parts, options.clock ?? systemClock, async (lease) => {
    const report: EmptyReport = { freedBytes: 0, slices: 0, chains: 0 };
    const newest = (await listChains(parts)).at(-1);
    for (const chain of new Set(cuts.map((cut) => cut.chain))) {
      options.signal?.throwIfAborted();
      await emptyChain({ parts, lease, chain, asked: cuts.filter((cut) => cut.chain === chain), isNewest: chain === newest, signal: options.signal, report });
    }
    return report;
  });
}

type Emptying = { readonly parts: ArchiveParts; readonly lease: Lease; readonly chain: string; readonly asked: readonly TrimStretch[]; readonly isNewest: boolean; readonly signal: AbortSignal | undefined; readonly report: EmptyReport };

async function emptyChain(emptying: Emptying): Promise<void> {
  const { parts, chain, asked, report } = emptying;
  const { start } = await readChain(parts, chain);
  const all = await listParts(parts, chain);
  const way = wayFrom(all, start.after, undefined);
  const cuts = way.filter(({ isCut }) => isCut);
  // What is asked for counts only where a cut says so here and now.
  const isAsked = (part: TrimStretch | SliceName): boolean => asked.some((cut) => isInside(part, cut)) && cuts.some((cut) => isInside(part, cut));
  const onWay = new Set(way.map(({ name }) => name));
  const inside = all.filter((part) => !onWay.has(part.name) && isAsked(part));
  for (const slice of inside.filter(({ isCut }) => !isCut)) {
    if (!(await remove(emptying, slice.name))) return;
    report.slices += 1;
    report.freedBytes += slice.bytes;
  }
  await removeBarriers(emptying, (at) => asked.some(({ after, through }) => compareTimes(at, after) > 0 && compareTimes(at, through) <= 0) && cuts.some((cut) => compareTimes(at, cut.after) > 0 && compareTimes(at, cut.through) <= 0));
  for (const cut of inside.filter(({ isCut }) => isCut)) await remove(emptying, cut.name);
  const isOver = !emptying.isNewest && cuts.length === way.length && way.every(({ after, through }) => asked.some((cut) => isInside({ after, through }, cut)));
  if (isOver) await removeChain(emptying, way);
}

/** Its start goes last: without it nobody knows what the rest was. */
async function removeChain(emptying: Emptying, cuts: readonly SliceName[]): Promise<void> {
  const { parts, chain, report } = emptying;
  const isLeft = (await listParts(parts, chain)).some(({ isCut }) => !isCut);
  if (isLeft) return;
  await removeBarriers(emptying, () => true);
  await remove(emptying, parts.names.chainWriter(chain));
  for (const cut of cuts) if (!(await remove(emptying, cut.name))) return;
  if (await remove(emptying, parts.names.chainStart(chain))) report.chains += 1;
}

async function removeBarriers(emptying: Emptying, isGone: (at: ClusterTime) => boolean): Promise<void> {
  const { parts, chain } = emptying;
  for await (const { name } of parts.storage.list(parts.names.barriers(chain))) {
    const key = /^([0-9a-f]{16})-[0-9a-f]{8}$/.exec(lastPart(name))?.[1];
    if (key !== undefined && isGone(timeFromKey(key))) await remove(emptying, name);
  }
}

/** False: it is retained, and goes with a later run. */
export async function remove({ parts, lease, signal }: Pick<Emptying, 'parts' | 'lease' | 'signal'>, name: string): Promise<boolean> {
  signal?.throwIfAborted();
  await lease.confirm();
  return await deleteUnlessRetained(parts.storage, name);
}

export function isInside(part: Pick<SliceName, 'after' | 'through'>, whole: Pick<SliceName, 'after' | 'through'>): boolean {
  return compareTimes(whole.after, part.after) <= 0 && compareTimes(part.through, whole.through) <= 0;
}
