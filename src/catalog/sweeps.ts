/** The sweeps of repositories that are begun by themselves. */
import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type SweepRow = Selectable<Tables['sweeps']>;

export function sweepStore(db: Kysely<Tables>) {
  return {
    async find(repository: string): Promise<SweepRow | undefined> {
      return await db.selectFrom('sweeps').selectAll().where('repository', '=', repository).executeTakeFirst();
    },
    /** Whether it is due stays when the schedule is another one. */
    async put(row: SweepRow): Promise<void> {
      const { days, at, counts_from_ms } = row;
      await db.insertInto('sweeps').values(row).onConflict((on) => on.column('repository').doUpdateSet({ days, at, counts_from_ms })).execute();
    },
    /** There is something to give back. */
    async want(repository: string, wanted_ms: number): Promise<void> {
      await db.updateTable('sweeps').set({ wanted_ms }).where('repository', '=', repository).execute();
    },
    async count(repository: string, change: Partial<Pick<SweepRow, 'counts_from_ms' | 'begun_ms'>>): Promise<void> {
      await db.updateTable('sweeps').set(change).where('repository', '=', repository).execute();
    },
    /** Whether a backup into it, or a copy, has failed or was stopped since a moment: what it had stored belongs to no point. */
    async hasLeftovers(repository: string, sinceMs: number): Promise<boolean> {
      const sets = db.selectFrom('sets').select('id').where('repository', '=', repository);
      const copies = db.selectFrom('copies').select('id').where('repository', '=', repository);
      const found = await db
        .selectFrom('sessions')
        .select('id')
        .where('ended_ms', '>=', sinceMs)
        .where('state', 'in', ['failed', 'stopped'])
        .where((row) => row.or([row.and([row('kind', '=', 'backup'), row('set_id', 'in', sets)]), row.and([row('kind', '=', 'copy'), row('object_id', 'in', copies)])]))
        .limit(1)
        .executeTakeFirst();
      return found !== undefined;
    },
  };
}
