/**
 * The embedded dialect: node:sqlite under Kysely, and the only file that knows it is SQLite.
 *
 * What the driver does wrong, it does silently, so it is refused here: a Date is taken as a bag of named parameters and
 * binds null, true arrives as 1, a bigint above 2^53 fails only when it is read. Rows have no prototype and are copied.
 * One connection for the process; `begin` takes the write lock at once, because two readers that both want to write
 * would refuse each other. A commit is on disk when it returns (WAL with synchronous FULL).
 */
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { SqliteDialect, type SqliteDatabase } from 'kysely';

export function sqliteDialect(path: string): SqliteDialect {
  return new SqliteDialect({ database: openSqlite(path) });
}

/** For its owner alone: SQLite gives its files beside the database the mode that has. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
}

export function openSqlite(path: string): SqliteDatabase {
  if (path !== ':memory:') keepPrivate(path);
  const database = new DatabaseSync(path, { timeout: 5_000 });
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;');
  return {
    close: () => database.close(),
    prepare(sql) {
      const statement = database.prepare(sql === 'begin' ? 'begin immediate' : sql);
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...parameters.map(bindable)).map((row) => ({ ...row })),
        run: (parameters) => statement.run(...parameters.map(bindable)),
        *iterate(parameters) {
          for (const row of statement.iterate(...parameters.map(bindable))) yield { ...row };
        },
      };
    },
  };
}

function bindable(value: unknown): SQLInputValue {
  if (value === null || typeof value === 'string' || value instanceof Uint8Array) return value;
  if (typeof value === 'number' && Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return value;
  if (typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)) return value;
  throw new TypeError(`the catalog takes text, safe numbers, bytes and null, not ${value instanceof Date ? 'a Date' : `${typeof value} ${String(value)}`}`);
}
