/**
 * What happens before migrations change a catalog that has something in it. Order: the copy is whole and on disk under its own name, then the
 * first migration runs; a crash between leaves the old catalog and a copy of it.
 *
 *   SQLite       copied beside itself, `catalog.sqlite.before-NAME` for the first migration that is to come
 *   PostgreSQL   refused until somebody has said that it was backed up: this process has no right to write where a dump would be safe
 */
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Kysely } from 'kysely';
import { backupWanted, migrationFailed } from './failures.ts';
import { migrations } from './migrations/table.ts';
import type { Tables } from './tables.ts';

type Done = { kysely_migration: { name: string; timestamp: string } };

/** The first migration that is to come, where some were made before. */
function firstToCome(done: readonly string[]): string | undefined {
  return done.length === 0 ? undefined : Object.keys(migrations).find((name) => !done.includes(name));
}

export function copyBeforeUpgrade(path: string): void {
  if (path === ':memory:' || !existsSync(path)) return;
  const database = new DatabaseSync(path, { timeout: 5_000 });
  try {
    const isMade = database.prepare("select 1 from sqlite_master where name = 'kysely_migration'").get() !== undefined;
    const next = isMade ? firstToCome(database.prepare('select name from kysely_migration').all().map(({ name }) => String(name))) : undefined;
    if (next === undefined) return;
    const copy = `${path}.before-${next}`;
    rmSync(`${copy}.part`, { force: true });
    database.prepare('vacuum into ?').run(`${copy}.part`);
    chmodSync(`${copy}.part`, 0o600);
    renameSync(`${copy}.part`, copy);
  } catch (error) {
    throw migrationFailed({ migration: 'a copy of itself', why: error instanceof Error ? error.message : String(error) }, error);
  } finally {
    database.close();
  }
}

export async function demandBackup(db: Kysely<Tables>, place: string, isBackedUp: boolean): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === 'kysely_migration')) return;
  const done = await (db as unknown as Kysely<Done>).selectFrom('kysely_migration').select('name').execute();
  const next = firstToCome(done.map(({ name }) => name));
  if (next !== undefined && !isBackedUp) throw backupWanted({ place, migration: next });
}
