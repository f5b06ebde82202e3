import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type PointRow = Selectable<Tables['points']> & { readonly hold_since_ms: number | null; readonly hold_reason: string | null };

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
    async put(row: Selectable<Tables['points']>): Promise<void> {
      const { summary, lost, repository } = row;
      await db.insertInto('points').values(row).onConflict((on) => on.column('id').doUpdateSet({ summary, lost, repository })).execute();
    },
    async list(setId?: string): Promise<PointRow[]> {
      const query = setId === undefined ? all() : all().where('points.set_id', '=', setId);
      return await query.orderBy('points.created_ms').orderBy('points.id').execute();
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
    async release(point: string): Promise<void> {
      await db.deleteFrom('holds').where('point', '=', point).execute();
    },
    /** Makes the cache say what a repository says: what is there is put, what is not is marked lost, and what cannot be read there hurt. */
    async mirror(repository: string, setId: string, rows: readonly Selectable<Tables['points']>[], hurt: ReadonlySet<string> = new Set()): Promise<void> {
      const there = new Set(rows.map(({ id }) => id));
      await db.transaction().execute(async (tx) => {
        const known = await tx.selectFrom('points').select(['id', 'summary', 'lost']).where('repository', '=', repository).where('set_id', '=', setId).execute();
        const knownRows = new Map(known.map((row) => [row.id, row]));
        for (const row of rows) {
          const old = knownRows.get(row.id);
          if (old !== undefined && old.summary === row.summary && old.lost === 0) continue;
          await tx.insertInto('points').values(row).onConflict((on) => on.column('id').doUpdateSet({ summary: row.summary, lost: 0 })).execute();
        }
        for (const { id, lost: before } of known) {
          const lost = hurt.has(id) ? isHurt : isLost;
          if (!there.has(id) && before !== lost) await tx.updateTable('points').set({ lost }).where('id', '=', id).execute();
        }
      });
    },
  };
}
