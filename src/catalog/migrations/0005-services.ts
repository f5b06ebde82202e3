import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('hosts').addColumn('deployer_ms', 'bigint').execute();
  await db.schema.alterTable('enrolments').addColumn('part', 'text').execute();
}
