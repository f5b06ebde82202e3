/**
 * A snapshot of the catalog as a document: what a server must know to be itself again (docs/design/server-recovery.md).
 * Sessions are those that have ended, the newest of them; what other sources tell again is left out. Its rows go into a catalog of
 * their own migration, which is then brought up to date.
 */
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { catalogNewer } from './failures.ts';
import { migrations } from './migrations/table.ts';
import { sqliteDialect } from './sqlite.ts';
import type { Tables } from './tables.ts';

export type CatalogSnapshot = { readonly migration: string; readonly tables: Readonly<Record<string, readonly Record<string, unknown>[]>> };

/** Told again by hosts, of the moment, or of this server alone. */
const leftOut: ReadonlySet<string> = new Set(['servers', 'duties', 'sessions', 'session_events', 'session_notes', 'session_tasks', 'publications', 'oplog_standings', 'alarms', 'host_alarms', 'audit', 'sign_in_failures', 'tokens']);
const sessionsKept = 1_000;
/** Whose rows say when somebody was seen. */
const restless: ReadonlySet<string> = new Set(['points', 'user_tokens', 'users', 'enrolments']);

export function snapshotStore(db: Kysely<Tables>) {
  const names = async (): Promise<string[]> => (await db.introspection.getTables()).map(({ name }) => name).filter((name) => !leftOut.has(name)).sort();
  const rowsOf = async (name: string): Promise<Record<string, unknown>[]> => await db.selectFrom(name as keyof Tables).selectAll().execute();
  return {
    async take(): Promise<CatalogSnapshot> {
      const tables: Record<string, readonly Record<string, unknown>[]> = {};
      for (const name of await names()) tables[name] = await rowsOf(name);
      tables['sessions'] = await db.selectFrom('sessions').selectAll().where('ended_ms', 'is not', null).orderBy('id', 'desc').limit(sessionsKept).execute();
      return { migration: Object.keys(migrations).at(-1)!, tables };
    },
    /** What people have set up: when this is another text, something was changed. */
    async wishes(): Promise<string> {
      const wishes: unknown[] = [];
      for (const name of await names()) if (!restless.has(name)) wishes.push(name, (await rowsOf(name)).map((row) => JSON.stringify(steady(row))).sort());
      return JSON.stringify(wishes);
    },
  };
}

/** Without the moments of looks and runs. */
function steady(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([column]) => !/^(?:look|says|discovered|is_default)$|_ms$/.test(column)));
}

/** Makes the catalog at `path`, which is not there, of a snapshot. */
export async function restoreSnapshot(path: string, { migration, tables }: CatalogSnapshot): Promise<void> {
  const db = new Kysely<Tables>({ dialect: sqliteDialect(path) });
  try {
    if (migrations[migration] === undefined) throw catalogNewer({ migration });
    const migrator = new Migrator({ db, provider: { getMigrations: async () => await Promise.resolve(migrations) } });
    const { error } = await migrator.migrateTo(migration);
    if (error !== undefined) throw error as Error;
    const has = new Set((await db.introspection.getTables()).map(({ name }) => name));
    // Rows that others refer to may come behind those.
    const left = Object.entries(tables).filter(([name, rows]) => has.has(name) && rows.length > 0);
    await db.transaction().execute(async (tx) => {
      await tx.executeQuery({ sql: 'pragma defer_foreign_keys = on', parameters: [] } as unknown as Parameters<typeof tx.executeQuery>[0]);
      for (const [name, rows] of left) for (const row of rows) await tx.insertInto(name as keyof Tables).values(row as never).execute();
      // Its sessions are not in a snapshot. The run stays open: the scheduler closes one whose parts are over, and counts on from there.
      if (has.has('policy_parts')) await tx.updateTable('policy_parts').set({ state: 'stopped', says: 'the server was lost during the run' }).where('state', 'in', ['waiting', 'running']).execute();
    });
  } finally {
    await db.destroy();
  }
}
