import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('sweeps')
    .addColumn('repository', 'text', (c) => c.primaryKey())
    .addColumn('days', 'integer', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('counts_from_ms', 'bigint', (c) => c.notNull())
    .addColumn('begun_ms', 'bigint', (c) => c.notNull())
    .addColumn('wanted_ms', 'bigint')
    .execute();
}
