import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('hosts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('address', 'text', (c) => c.notNull())
    .addColumn('control_port', 'integer', (c) => c.notNull())
    .addColumn('deployer_port', 'integer', (c) => c.notNull())
    .addColumn('data_from', 'integer', (c) => c.notNull())
    .addColumn('data_to', 'integer', (c) => c.notNull())
    .addColumn('dials', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .addColumn('enrolled_ms', 'bigint')
    .execute();

  await db.schema
    .createTable('enrolments')
    .addColumn('token_hash', 'text', (c) => c.primaryKey())
    .addColumn('host', 'text', (c) => c.notNull().references('hosts.id').onDelete('cascade'))
    .addColumn('expires_ms', 'bigint', (c) => c.notNull())
    .addColumn('used_ms', 'bigint')
    .execute();

  await db.schema.alterTable('repositories').addColumn('host', 'text', (c) => c.notNull().defaultTo('local')).execute();
  await db.schema.alterTable('session_tasks').addColumn('host', 'text', (c) => c.notNull().defaultTo('local')).execute();
}
