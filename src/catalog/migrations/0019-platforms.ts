import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('hosts').addColumn('platform', 'text').execute();
  await db.schema.alterTable('hosts').addColumn('pushed_ms', 'bigint').execute();
}
