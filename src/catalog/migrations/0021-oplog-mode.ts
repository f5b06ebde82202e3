import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('sets').addColumn('oplog_mode', 'text', (c) => c.notNull().defaultTo('{}')).execute();
}
