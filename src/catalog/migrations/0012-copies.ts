import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('repositories').addColumn('is_attached', 'integer', (c) => c.notNull().defaultTo(0)).execute();
  await db.schema
    .createTable('copies')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('set_id', 'text', (c) => c.notNull())
    .addColumn('repository', 'text', (c) => c.notNull())
    .addColumn('keep', 'text', (c) => c.notNull())
    .addColumn('schedule', 'text', (c) => c.notNull())
    .addColumn('counts_from_ms', 'bigint', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('copies_of_a_set', ['set_id', 'repository'])
    .execute();
}
