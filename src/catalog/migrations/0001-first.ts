import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = (table: string) => db.schema.createTable(table);
  await text('settings').addColumn('name', 'text', (c) => c.primaryKey()).addColumn('value', 'text', (c) => c.notNull()).execute();

  await text('certificates')
    .addColumn('serial', 'text', (c) => c.primaryKey())
    .addColumn('part', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('issued_ms', 'bigint', (c) => c.notNull())
    .addColumn('not_after_ms', 'bigint', (c) => c.notNull())
    .addColumn('revoked_ms', 'bigint')
    .execute();

  await text('tokens')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull().unique())
    .addColumn('created_ms', 'bigint', (c) => c.notNull())
    .execute();

  await text('repositories')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('location', 'text', (c) => c.notNull())
    .addColumn('sealed_passphrase', 'text', (c) => c.notNull())
    .addColumn('sealed_key', 'text', (c) => c.notNull())
    .addColumn('passphrase_file', 'text')
    .addColumn('is_default', 'integer', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .execute();

  await text('archives')
    .addColumn('repository', 'text', (c) => c.notNull().references('repositories.id'))
    .addColumn('set_id', 'text', (c) => c.notNull())
    .addColumn('set_name', 'text', (c) => c.notNull())
    .addColumn('sealed_key', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('archives_key', ['repository', 'set_id'])
    .execute();

  await text('sets')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('repository', 'text', (c) => c.notNull().references('repositories.id'))
    .addColumn('sealed_target', 'text', (c) => c.notNull())
    .addColumn('sign_in', 'text', (c) => c.notNull())
    .addColumn('hosts', 'text', (c) => c.notNull())
    .addColumn('discovered', 'text', (c) => c.notNull())
    .addColumn('added_ms', 'bigint', (c) => c.notNull())
    .addColumn('refreshed_ms', 'bigint', (c) => c.notNull())
    .execute();

  await text('oplog_standings')
    .addColumn('set_id', 'text', (c) => c.primaryKey().references('sets.id').onDelete('cascade'))
    .addColumn('standing', 'text', (c) => c.notNull())
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .execute();

  await text('alarms')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('set_id', 'text', (c) => c.notNull().references('sets.id').onDelete('cascade'))
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .addColumn('raised_ms', 'bigint', (c) => c.notNull())
    .addColumn('what', 'text', (c) => c.notNull())
    .addColumn('says', 'text', (c) => c.notNull())
    .addColumn('backup_session', 'text')
    .addColumn('is_settled', 'integer', (c) => c.notNull())
    .execute();

  await text('points')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('set_id', 'text', (c) => c.notNull())
    .addColumn('repository', 'text', (c) => c.notNull().references('repositories.id'))
    .addColumn('created_ms', 'bigint', (c) => c.notNull())
    .addColumn('summary', 'text', (c) => c.notNull())
    .addColumn('lost', 'integer', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('points_by_set').on('points').columns(['set_id', 'created_ms']).execute();

  await text('holds')
    .addColumn('point', 'text', (c) => c.primaryKey())
    .addColumn('since_ms', 'bigint', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .execute();

  await text('sessions')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('object_kind', 'text', (c) => c.notNull())
    .addColumn('object_id', 'text', (c) => c.notNull())
    .addColumn('object_name', 'text', (c) => c.notNull())
    .addColumn('set_id', 'text')
    .addColumn('lane', 'text', (c) => c.unique())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('stopping', 'integer', (c) => c.notNull())
    .addColumn('sealed_wish', 'text', (c) => c.notNull())
    .addColumn('created_ms', 'bigint', (c) => c.notNull())
    .addColumn('started_ms', 'bigint')
    .addColumn('ended_ms', 'bigint')
    .addColumn('progress', 'text')
    .addColumn('warnings', 'integer', (c) => c.notNull())
    .addColumn('result', 'text')
    .addColumn('failure', 'text')
    .addColumn('reason', 'text')
    .addColumn('retry_of', 'text')
    .execute();
  await db.schema.createIndex('sessions_by_state').on('sessions').columns(['state', 'id']).execute();
  await db.schema.createIndex('sessions_by_set').on('sessions').columns(['set_id', 'id']).execute();

  await text('session_events')
    .addColumn('session', 'text', (c) => c.notNull().references('sessions.id').onDelete('cascade'))
    .addColumn('number', 'integer', (c) => c.notNull())
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .addColumn('event', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('session_events_key', ['session', 'number'])
    .execute();

  await text('session_notes')
    .addColumn('session', 'text', (c) => c.notNull().references('sessions.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('sealed_value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('session_notes_key', ['session', 'name'])
    .execute();

  await text('session_tasks')
    .addColumn('task_id', 'text', (c) => c.primaryKey())
    .addColumn('session', 'text', (c) => c.notNull().references('sessions.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('is_accepted', 'integer', (c) => c.notNull())
    .addColumn('after', 'integer', (c) => c.notNull())
    .addColumn('outcome', 'text')
    .addUniqueConstraint('session_tasks_name', ['session', 'name'])
    .execute();

  await text('publications')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('set_id', 'text', (c) => c.notNull())
    .addColumn('set_name', 'text', (c) => c.notNull())
    .addColumn('point', 'text', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('session', 'text', (c) => c.notNull().references('sessions.id'))
    .addColumn('started_ms', 'bigint', (c) => c.notNull())
    .addColumn('expires_ms', 'bigint', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('uri', 'text')
    .addColumn('says', 'text')
    .execute();
}
