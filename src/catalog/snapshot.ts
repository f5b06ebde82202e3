/**
 * A snapshot of the catalog as a document: what a server must know to be itself again (docs/design/server-recovery.md).
 * Sessions are those that have ended, the newest of them; what other sources tell again is left out. Its rows go into a catalog of
 * their own migration, which is then brought up to date.
 */
import { createHash } from 'node:crypto';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { catalogNewer } from './failures.ts';
import { toldUnprotected } from './news.ts';
import { migrations } from './migrations/table.ts';
import { sqliteDialect } from './sqlite.ts';
import type { Tables } from './tables.ts';
import type { CountWrites } from './writes.ts';

export type CatalogSnapshot = { readonly migration: string; readonly tables: Readonly<Record<string, readonly Record<string, unknown>[]>> };

/** Told again by hosts, of the moment, or of this server alone. */
const leftOut: ReadonlySet<string> = new Set(['servers', 'server_addresses', 'duties', 'sessions', 'session_events', 'session_notes', 'session_tasks', 'session_tallies', 'publications', 'oplog_standings', 'alarms', 'host_alarms', 'audit', 'sign_in_failures', 'tokens']);
const sessionsKept = 1_000;
/** Whose rows come of the work: they are in a snapshot, and are no reason for one. */
const restless: ReadonlySet<string> = new Set(['points', 'policy_runs', 'policy_parts', 'news', 'tellings', 'host_alarms', 'verifications']);
const restlessSettings: ReadonlySet<unknown> = new Set(['retention.day', 'clock.confirmed']);

/** `db`: as the database usually isolates. */
export function snapshotStore(db: Kysely<Tables>, writes: CountWrites) {
  const names = async (): Promise<string[]> => (await db.introspection.getTables()).map(({ name }) => name).filter((name) => !leftOut.has(name)).sort();
  const rowsOf = async (from: Kysely<Tables>, name: string): Promise<Record<string, unknown>[]> => await from.selectFrom(name as keyof Tables).selectAll().execute();
  const seen = new Map<string, { readonly count: number | undefined; readonly hash: string }>();

  /** What people have set up in a table; read only when something was written to it since. */
  async function hashOf(name: string, count: number | undefined): Promise<string> {
    const known = seen.get(name);
    if (known !== undefined && count !== undefined && known.count === count) return known.hash;
    const rows = (await rowsOf(db, name)).filter((row) => isWished(name, row));
    const hash = createHash('sha256').update(JSON.stringify(rows.map((row) => JSON.stringify(steady(row))).sort())).digest('hex');
    seen.set(name, { count, hash });
    return hash;
  }

  return {
    /** Of one moment: what others write meanwhile is in it as a whole or not at all. */
    async take(): Promise<CatalogSnapshot> {
      const all = await names();
      // SQLite has no levels, and one transaction at a time.
      return await db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(async (tx) => {
        const tables: Record<string, readonly Record<string, unknown>[]> = {};
        for (const name of all) tables[name] = await rowsOf(tx, name);
        tables['sessions'] = await tx.selectFrom('sessions').selectAll().where('ended_ms', 'is not', null).orderBy('id', 'desc').limit(sessionsKept).execute();
        return { migration: Object.keys(migrations).at(-1)!, tables };
      });
    },
    /** What people have set up: when this is another text, something was changed. */
    async wishes(): Promise<string> {
      // Counted before it is read: what is written in between is read once more the next time.
      const counts = await writes();
      const wishes: string[] = [];
      for (const name of await names()) if (!restless.has(name)) wishes.push(`${name} ${await hashOf(name, counts.get(name))}`);
      return wishes.join('\n');
    },
  };
}

/** Who signs in and out with a password changes nothing that was set up. */
function isWished(table: string, row: Record<string, unknown>): boolean {
  if (table === 'settings') return !restlessSettings.has(row['name']) && !String(row['name']).startsWith(toldUnprotected);
  return table !== 'user_tokens' || row['kind'] === 'api';
}

/** What is withdrawn or used up must not come back: that it was is told by the moment. */
const withdrawals: ReadonlySet<string> = new Set(['revoked_ms', 'deployer_ms']);

/** Without the moments of looks and runs, and what was counted. */
function steady(row: Record<string, unknown>): Record<string, unknown> {
  const told = Object.entries(row).map(([column, value]): [string, unknown] => (withdrawals.has(column) ? [column.replace('_ms', ''), value !== null] : [column, value]));
  return Object.fromEntries(told.filter(([column]) => !/^(?:look|says|discovered|is_default|told|given_up|totp_step|parts)$|_ms$/.test(column)));
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
