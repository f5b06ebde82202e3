/** How each set's oplog stands: fresh in memory, in the catalog often enough to be believed after a restart. */
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import type { OplogStanding } from '../contract/routes/sets.ts';
import { clusterTime, optime, type PointSummary } from '../contract/values.ts';
import { afterCuts, restorableOf, type OplogCut } from '../domain/archived-stretches.ts';

const kept = z.object({
  state: z.enum(['starting', 'following', 'waiting', 'broken', 'paused', 'resting']),
  chain: z.string().nullable(),
  through: optime.nullable(),
  committed: optime.nullable(),
  /** Oldest first. */
  stretches: z.array(z.object({ chain: z.string(), from: clusterTime, through: clusterTime })).default([]),
  says: z.string().nullable(),
  session: z.string().nullable(),
  entriesPerSecond: z.number().nullable().default(null),
  members: z.array(z.object({ member: z.string(), heldSeconds: z.number().nullable(), reachSeconds: z.number().nullable() })).default([]),
});
export type KeptStanding = z.infer<typeof kept>;

const nothing: KeptStanding = { state: 'starting', chain: null, through: null, committed: null, stretches: [], says: null, session: null, entriesPerSecond: null, members: [] };
/** Where servers share the catalog, another one reads it there. */
const keptEveryMs = { sqlite: 10_000, postgres: 1_000 };
const believedMs = 30_000;

export type OplogStandings = ReturnType<typeof openOplogStandings>;

export function openOplogStandings(catalog: Catalog, clock: Clock) {
  const live = new Map<string, { standing: KeptStanding; keptMs: number; heardMs: number }>();

  /** What was read for many at once, while these are looked at. */
  const ahead = new Map<string, { standing: string; at_ms: number } | undefined>();

  async function now(setId: string): Promise<KeptStanding> {
    const known = live.get(setId);
    if (known !== undefined) return known.standing;
    const row = ahead.has(setId) ? ahead.get(setId) : await catalog.sets.standing(setId);
    if (row === undefined) return nothing;
    const standing = kept.parse(JSON.parse(row.standing));
    const isOfAnother = catalog.kind === 'postgres' && clock.now() - row.at_ms < believedMs;
    return isOfAnother ? standing : { ...standing, state: 'starting' };
  }

  return {
    now,
    /** Reads at once what is kept of some sets: until it is disposed of, that is what they are asked about. */
    async readAhead(setIds: readonly string[]): Promise<Disposable> {
      const ids = setIds.filter((id) => !live.has(id));
      const rows = await catalog.sets.standings(ids);
      for (const id of ids) ahead.set(id, rows.get(id));
      return { [Symbol.dispose]: () => ids.forEach((id) => ahead.delete(id)) };
    },
    /** When the host last told of it, on the monotonic clock; undefined before the first time. */
    heardMs: (setId: string): number | undefined => live.get(setId)?.heardMs,
    /** A change that is made of what is known is made at once: nobody else's comes between. */
    async change(setId: string, change: Partial<KeptStanding> | ((known: KeptStanding) => Partial<KeptStanding>)): Promise<void> {
      const before = await now(setId);
      const standing = { ...before, ...(typeof change === 'function' ? change(before) : change) };
      const last = live.get(setId)?.keptMs ?? Number.NEGATIVE_INFINITY;
      const isNews = standing.state !== before.state || hasMoved(before, standing) || standing.chain !== before.chain || standing.says !== before.says || standing.session !== before.session;
      const isDue = isNews || clock.monotonicMs() - last >= keptEveryMs[catalog.kind];
      live.set(setId, { standing, keptMs: isDue ? clock.monotonicMs() : last, heardMs: clock.monotonicMs() });
      if (isDue) await catalog.sets.putStanding(setId, JSON.stringify(standing), clock.now());
    },
    /** Retention has removed archived oplog. Where another server keeps the set its follower tells of it in the next minute. */
    cut(setId: string, cuts: readonly OplogCut[]): void {
      const known = live.get(setId);
      if (known !== undefined && cuts.length > 0) live.set(setId, { ...known, keptMs: Number.NEGATIVE_INFINITY, standing: { ...known.standing, stretches: afterCuts(known.standing.stretches, cuts) } });
    },
    /** Its keeper has ended here: what another server keeps is believed from now on. */
    async leave(setId: string): Promise<void> {
      const last = live.get(setId);
      live.delete(setId);
      if (last !== undefined && catalog.kind === 'sqlite') await catalog.sets.putStanding(setId, JSON.stringify(last.standing), clock.now());
    },
    forget(setId: string): void {
      live.delete(setId);
    },
    /** `good`: the set's restore points that nobody has found bad, where its oplog goes. */
    async view(setId: string, good: readonly PointSummary[]): Promise<OplogStanding> {
      const { state, chain, through, committed, stretches, says, session, entriesPerSecond, members } = await now(setId);
      const { to, needsBase } = restorableOf(stretches, good.map(({ checkpoint, top, chain, proof }) => ({ checkpoint, top, chain, isProved: proof?.ok === true })));
      const loss = to === null ? null : Math.max(0, Math.round(clock.now() / 1000 - to.t));
      const lag = through === null || committed === null ? null : Math.max(0, committed.t - through.t);
      return { state, chain, through, lagSeconds: lag, restorableTo: to, lossIfDisasterNowSeconds: loss, needsBase, entriesPerSecond: state === 'following' ? entriesPerSecond : null, members, says, session };
    },
  };
}

/** Another stretch is followed: what is lost counts by it, so it is kept at once. */
function hasMoved(before: KeptStanding, now: KeptStanding): boolean {
  const [was, is] = [before.stretches.at(-1), now.stretches.at(-1)];
  return was?.chain !== is?.chain || was?.from.t !== is?.from.t || was?.from.i !== is?.from.i;
}
