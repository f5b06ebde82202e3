import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type CopyRow = Selectable<Tables['copies']>;

/** Which sets are copied into which other repository, when, and how long copies stay. */
export function copyStore(db: Kysely<Tables>) {
  return {
    /** False where the set is copied there already. */
    async add(row: CopyRow): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('copies').values(row).onConflict((on) => on.columns(['set_id', 'repository']).doNothing()).executeTakeFirst();
      return (numInsertedOrUpdatedRows ?? 0n) > 0n;
    },
    async list(): Promise<CopyRow[]> {
      return await db.selectFrom('copies').selectAll().orderBy('added_ms').orderBy('id').execute();
    },
    async find(id: string): Promise<CopyRow | undefined> {
      return await db.selectFrom('copies').selectAll().where('id', '=', id).executeTakeFirst();
    },
    async countFrom(id: string, atMs: number): Promise<void> {
      await db.updateTable('copies').set({ counts_from_ms: atMs }).where('id', '=', id).execute();
    },
    async remove(id: string): Promise<void> {
      await db.deleteFrom('copies').where('id', '=', id).execute();
    },
  };
}
