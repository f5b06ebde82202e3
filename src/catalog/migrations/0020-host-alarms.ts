import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host_alarms')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('place', 'text')
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .addColumn('raised_ms', 'bigint', (c) => c.notNull())
    .addColumn('says', 'text', (c) => c.notNull())
    .addColumn('is_settled', 'integer', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('host_alarms_open').on('host_alarms').columns(['host', 'is_settled']).execute();
}
