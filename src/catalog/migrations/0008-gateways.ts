import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('repositories').addColumn('gateways', 'text', (c) => c.notNull().defaultTo('{"through":[],"hosts":null}')).execute();
  await db.schema.alterTable('hosts').addColumn('single_port', 'integer', (c) => c.notNull().defaultTo(0)).execute();
}
