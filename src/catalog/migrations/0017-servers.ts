import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('servers')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('started_ms', 'bigint', (c) => c.notNull())
    .addColumn('until_ms', 'bigint', (c) => c.notNull())
    .execute();

  await db.schema
    .createTable('duties')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('server', 'text', (c) => c.notNull())
    .execute();

  await db.schema.alterTable('sessions').addColumn('server', 'text').execute();
  await db.schema.createIndex('sessions_by_kind').on('sessions').columns(['kind', 'id']).execute();
}
