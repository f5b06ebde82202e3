import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of ['hosts', 'repositories']) await db.schema.alterTable(table).addColumn('copies_at_once', 'integer').execute();
  await db.schema.alterTable('hosts').addColumn('limits', 'text', (c) => c.notNull().defaultTo('[]')).execute();
  await db.schema.alterTable('repositories').addColumn('connections', 'integer').execute();
}
