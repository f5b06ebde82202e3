import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('repositories').addColumn('limits', 'text', (c) => c.notNull().defaultTo('[]')).execute();
}
