import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type PointRow = Selectable<Tables['points']> & { readonly hold_since_ms: number | null; readonly hold_reason: string | null };

/** A statement takes only so many values. */
const atOnce = 1_000;

/** Of the column `lost`; 0 is a point that is there. */
export const isLost = 1;
export const isHurt = 2;

/** What the repositories said last: a cache. The manifest in the repository is the truth. */
export function pointStore(db: Kysely<Tables>) {
  const all = () =>
    db
      .selectFrom('points')
      .leftJoin('holds', 'holds.point', 'points.id')
      .selectAll('points')
      .select(['holds.since_ms as hold_since_ms', 'holds.reason as hold_reason']);
  return {
    /** One that was made. Where it is known already, by a flow that is run again, what has been found out about it since stays. */
    async add(row: Selectable<Tables['points']>): Promise<void> {
      const { lost, repository } = row;
      await db.insertInto('points').values(row).onConflict((on) => on.column('id').doUpdateSet({ lost, repository })).execute();
    },
    /** `change` may be called more than once. False when there is no such point. */
    async changeSummary(id: string, change: (summary: string) => string): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        const row = await tx.selectFrom('points').select('summary').where('id', '=', id).executeTakeFirst();
        if (row === undefined) return false;
        await tx.updateTable('points').set({ summary: change(row.summary), lost: 0 }).where('id', '=', id).execute();
        return true;
      });
    },
    async list(setId?: string): Promise<PointRow[]> {
      const query = setId === undefined ? all() : all().where('points.set_id', '=', setId);
      return await query.orderBy('points.created_ms').orderBy('points.id').execute();
    },
    /** Of each of some protected sets the newest that is there, where its backups go; by set. */
    async newestOf(setIds: readonly string[]): Promise<ReadonlyMap<string, PointRow>> {
      const found = new Map<string, PointRow>();
      for (let from = 0; from < setIds.length; from += atOnce) {
        const newest = db.selectFrom('sets').where('sets.id', 'in', setIds.slice(from, from + atOnce)).select((of) =>
          of.selectFrom('points as one').select('one.id').whereRef('one.set_id', '=', 'sets.id').whereRef('one.repository', '=', 'sets.repository').where('one.lost', '=', 0).orderBy('one.created_ms', 'desc').orderBy('one.id', 'desc').limit(1).as('point'),
        );
        for (const row of await all().where('points.id', 'in', newest).execute()) found.set(row.set_id, row);
      }
      return found;
    },
    /** Those of some sets, in the order of `list`. */
    async ofSets(setIds: readonly string[]): Promise<PointRow[]> {
      return setIds.length === 0 ? [] : await all().where('points.set_id', 'in', setIds).orderBy('points.created_ms').orderBy('points.id').execute();
    },
    async find(id: string): Promise<PointRow | undefined> {
      return await all().where('points.id', '=', id).executeTakeFirst();
    },
    async remove(id: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('holds').where('point', '=', id).execute();
        await tx.deleteFrom('points').where('id', '=', id).execute();
      });
    },
    async hold(point: string, reason: string, nowMs: number): Promise<void> {
      await db.insertInto('holds').values({ point, reason, since_ms: nowMs }).onConflict((on) => on.column('point').doUpdateSet({ reason })).execute();
    },
    /** False where it was not held. */
    async release(point: string): Promise<boolean> {
      return (await db.deleteFrom('holds').where('point', '=', point).executeTakeFirst()).numDeletedRows > 0n;
    },
    /**
     * Makes the cache say what a repository says: what is there is put, what is not is marked lost, and what cannot be read there hurt.
     * `merged`: what becomes of a known summary and the one that the repository has given, which may be the older of the two.
     */
    async mirror(repository: string, setId: string, rows: readonly Selectable<Tables['points']>[], hurt: ReadonlySet<string> = new Set(), merged: (known: string, given: string) => string = (_known, given) => given): Promise<void> {
      const there = new Set(rows.map(({ id }) => id));
      await db.transaction().execute(async (tx) => {
        const known = await tx.selectFrom('points').select(['id', 'summary', 'lost']).where('repository', '=', repository).where('set_id', '=', setId).execute();
        const knownRows = new Map(known.map((row) => [row.id, row]));
        for (const row of rows) {
          const old = knownRows.get(row.id);
          const summary = old === undefined ? row.summary : merged(old.summary, row.summary);
          if (old !== undefined && old.summary === summary && old.lost === 0) continue;
          await tx.insertInto('points').values({ ...row, summary }).onConflict((on) => on.column('id').doUpdateSet({ summary, lost: 0 })).execute();
        }
        for (const { id, lost: before } of known) {
          const lost = hurt.has(id) ? isHurt : isLost;
          if (!there.has(id) && before !== lost) await tx.updateTable('points').set({ lost }).where('id', '=', id).execute();
        }
      });
    },
  };
}
