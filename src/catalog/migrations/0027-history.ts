import type { Kysely } from 'kysely';

type Rows = { policies: { id: string; document: string }; policy_objects: { object: string; policy: string } };

/** What makes history short, what is counted of it though it is gone, and what finds the policies of a set. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('session_tallies')
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('count', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('session_tallies_key', ['kind', 'state'])
    .execute();
  await db.schema
    .createTable('policy_objects')
    .addColumn('object', 'text', (c) => c.notNull())
    .addColumn('policy', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('policy_objects_key', ['object', 'policy'])
    .execute();
  await db.schema.createIndex('policy_objects_by_policy').on('policy_objects').column('policy').execute();
  const rows = db as unknown as Kysely<Rows>;
  for (const { id, document } of await rows.selectFrom('policies').select(['id', 'document']).execute()) {
    const { groups = [], sets = [] } = JSON.parse(document) as { groups?: string[]; sets?: string[] };
    for (const object of new Set([...groups, ...sets])) await rows.insertInto('policy_objects').values({ object, policy: id }).execute();
  }
  const indexes = { sessions_by_end: ['ended_ms', 'id'], sessions_by_object: ['kind', 'object_id', 'id'], sessions_by_outcome: ['kind', 'state'] };
  for (const [name, columns] of Object.entries(indexes)) await db.schema.createIndex(name).on('sessions').columns(columns).execute();
  await db.schema.createIndex('policy_runs_by_end').on('policy_runs').columns(['ended_ms', 'id']).execute();
  await db.schema.createIndex('policy_parts_by_session').on('policy_parts').column('session').execute();
  await db.schema.createIndex('publications_by_session').on('publications').column('session').execute();
  await db.schema.createIndex('alarms_by_set').on('alarms').columns(['set_id', 'at_ms']).execute();
  await db.schema.createIndex('alarms_open').on('alarms').columns(['is_settled', 'raised_ms']).execute();
  await db.schema.createIndex('verifications_by_set').on('verifications').column('set_id').execute();
  await db.schema.createIndex('news_by_kind').on('news').columns(['kind', 'ref', 'id']).execute();
}
