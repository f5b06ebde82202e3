import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('server_addresses')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('enrolment_host', 'text', (c) => c.notNull())
    .addColumn('enrolment_port', 'integer', (c) => c.notNull())
    .addColumn('orders_host', 'text', (c) => c.notNull())
    .addColumn('orders_port', 'integer', (c) => c.notNull())
    .addColumn('seen_ms', 'bigint', (c) => c.notNull())
    .execute();
}
