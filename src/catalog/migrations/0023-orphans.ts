import { sql, type Kysely } from 'kysely';

/** One row for each rule that a set has left, in place of the last one. Rows of before are kept under the name of their policy. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('orphans').renameTo('orphans_before').execute();
  await db.schema
    .createTable('orphans')
    .addColumn('set_id', 'text', (c) => c.notNull())
    .addColumn('policy', 'text', (c) => c.notNull())
    .addColumn('policy_name', 'text', (c) => c.notNull())
    .addColumn('retention', 'text', (c) => c.notNull())
    .addColumn('time_zone', 'text', (c) => c.notNull())
    .addColumn('since_ms', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('orphans_key', ['set_id', 'policy', 'retention', 'time_zone'])
    .execute();
  await sql`insert into orphans (set_id, policy, policy_name, retention, time_zone, since_ms) select set_id, policy_name, policy_name, retention, time_zone, since_ms from orphans_before`.execute(db);
  await db.schema.dropTable('orphans_before').execute();
}
