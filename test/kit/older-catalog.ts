/** A catalog as an older version left it: with its own migrations up to one, whatever has come since. */
import type { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { migrations } from '../../src/catalog/migrations/table.ts';
import type { Tables } from '../../src/catalog/tables.ts';

/** Answers the name of the first migration that is to come. */
export async function makeOlder(db: Kysely<Tables>, last: string): Promise<string> {
  const { error } = await new Migrator({ db, provider: { getMigrations: async () => await Promise.resolve(migrations) } }).migrateTo(last);
  if (error !== undefined) throw error;
  const names = Object.keys(migrations);
  return names[names.indexOf(last) + 1]!;
}
