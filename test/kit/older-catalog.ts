/** A catalog as it was before a migration. */
import type { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { migrations } from '../../src/catalog/migrations/table.ts';

const names = Object.keys(migrations).sort();

export const newestMigration = names.at(-1)!;

/** On an empty database. It has `settings` in every version. */
export async function makeOlderCatalog(db: Kysely<never>, before = newestMigration): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => await Promise.resolve(migrations) } });
  const { error } = await migrator.migrateTo(names[names.indexOf(before) - 1]!);
  await db.destroy();
  if (error !== undefined) throw error as Error;
}
