import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('sessions').addColumn('is_plan', 'integer', (c) => c.notNull().defaultTo(0)).execute();
  await sql`update sessions set is_plan = 1 where kind in ('restore-set', 'restore-collections') and result like '%"applied":false%'`.execute(db);
}
