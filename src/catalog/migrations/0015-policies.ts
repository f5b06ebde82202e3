import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('policies')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('document', 'text', (c) => c.notNull())
    .addColumn('is_enabled', 'integer', (c) => c.notNull())
    .addColumn('counts_from_ms', 'bigint', (c) => c.notNull())
    .addColumn('next_ms', 'bigint')
    .addColumn('follows', 'text')
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('policies_by_next').on('policies').columns(['is_enabled', 'next_ms']).execute();
  await db.schema
    .createTable('policy_runs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('policy', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('why', 'text', (c) => c.notNull())
    .addColumn('due_ms', 'bigint', (c) => c.notNull())
    .addColumn('missed', 'integer', (c) => c.notNull())
    .addColumn('skipped', 'integer', (c) => c.notNull())
    .addColumn('opens_ms', 'bigint', (c) => c.notNull())
    .addColumn('closes_ms', 'bigint')
    .addColumn('full_read', 'integer', (c) => c.notNull())
    .addColumn('stopping', 'integer', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .addColumn('ended_ms', 'bigint')
    .addColumn('says', 'text')
    .execute();
  await db.schema.createIndex('policy_runs_by_policy').on('policy_runs').columns(['policy', 'id']).execute();
  await db.schema.createIndex('policy_runs_by_state').on('policy_runs').column('state').execute();
  await db.schema
    .createTable('policy_parts')
    .addColumn('run', 'text', (c) => c.notNull())
    .addColumn('set_id', 'text', (c) => c.notNull())
    .addColumn('set_name', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('not_before_ms', 'bigint', (c) => c.notNull())
    .addColumn('session', 'text')
    .addColumn('says', 'text')
    .addPrimaryKeyConstraint('policy_parts_key', ['run', 'set_id'])
    .execute();
  await db.schema
    .createTable('orphans')
    .addColumn('set_id', 'text', (c) => c.primaryKey())
    .addColumn('policy_name', 'text', (c) => c.notNull())
    .addColumn('retention', 'text', (c) => c.notNull())
    .addColumn('time_zone', 'text', (c) => c.notNull())
    .addColumn('since_ms', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.alterTable('sessions').addColumn('claim', 'text').execute();
  await db.schema.createIndex('sessions_by_claim').on('sessions').column('claim').unique().execute();
}
