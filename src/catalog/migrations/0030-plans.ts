import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('sessions').addColumn('is_plan', 'integer', (c) => c.notNull().defaultTo(0)).execute();
  await db.withTables<{ sessions: { kind: string; result: string | null; is_plan: number } }>().updateTable('sessions').set({ is_plan: 1 }).where('kind', 'in', ['restore-set', 'restore-collections']).where('result', 'like', '%"applied":false%').execute();
}
