import type { Kysely } from 'kysely';

type Rows = { orphans: Row & { policy: string }; orphans_before: Row };
type Row = { set_id: string; policy_name: string; retention: string; time_zone: string; since_ms: number };

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
  const rows = db as unknown as Kysely<Rows>;
  await rows
    .insertInto('orphans')
    .columns(['set_id', 'policy', 'policy_name', 'retention', 'time_zone', 'since_ms'])
    .expression((of) => of.selectFrom('orphans_before').select(['set_id', 'policy_name as policy', 'policy_name', 'retention', 'time_zone', 'since_ms']))
    .execute();
  await db.schema.dropTable('orphans_before').execute();
}
