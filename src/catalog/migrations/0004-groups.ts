import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('protection_groups')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('options', 'text', (c) => c.notNull())
    .addColumn('is_enabled', 'integer', (c) => c.notNull())
    .addColumn('counts_from_ms', 'bigint', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .execute();

  await db.schema
    .createTable('group_sets')
    .addColumn('set_id', 'text', (c) => c.primaryKey())
    .addColumn('group_id', 'text', (c) => c.notNull().references('protection_groups.id').onDelete('cascade'))
    .addColumn('seed_host', 'text', (c) => c.notNull())
    .addColumn('seed_port', 'integer', (c) => c.notNull())
    .addColumn('credential', 'text')
    .addColumn('look', 'text', (c) => c.notNull())
    .addColumn('looked_ms', 'bigint', (c) => c.notNull())
    .addColumn('says', 'text')
    .execute();

  await db.schema
    .createTable('group_computers')
    .addColumn('group_id', 'text', (c) => c.notNull().references('protection_groups.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('address', 'text', (c) => c.notNull())
    .addColumn('credential', 'text')
    .addColumn('awaits_kit', 'integer', (c) => c.notNull())
    .addColumn('in_scope', 'integer', (c) => c.notNull())
    .addColumn('host', 'text')
    .addColumn('look', 'text')
    .addColumn('looked_ms', 'bigint')
    .addColumn('says', 'text')
    .addPrimaryKeyConstraint('group_computers_key', ['group_id', 'name'])
    .execute();
}
