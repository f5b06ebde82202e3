import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('credentials')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('about', 'text', (c) => c.notNull())
    .addColumn('sealed_record', 'text', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .execute();

  await db.schema
    .createTable('host_keys')
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('port', 'integer', (c) => c.notNull())
    .addColumn('trusted_type', 'text')
    .addColumn('trusted_fingerprint', 'text')
    .addColumn('trusted_by', 'text')
    .addColumn('trusted_ms', 'bigint')
    .addColumn('waiting_type', 'text')
    .addColumn('waiting_fingerprint', 'text')
    .addColumn('waiting_ms', 'bigint')
    .addPrimaryKeyConstraint('host_keys_key', ['host', 'port'])
    .execute();
}
