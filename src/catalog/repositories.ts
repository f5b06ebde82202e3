import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type RepositoryRow = Selectable<Tables['repositories']>;
export type ArchiveRow = Selectable<Tables['archives']>;

export function repositoryStore(db: Kysely<Tables>) {
  return {
    async add(row: RepositoryRow): Promise<void> {
      await db.insertInto('repositories').values(row).execute();
    },
    async list(): Promise<RepositoryRow[]> {
      return await db.selectFrom('repositories').selectAll().orderBy('added_ms').orderBy('id').execute();
    },
    async find(nameOrId: string): Promise<RepositoryRow | undefined> {
      return await db.selectFrom('repositories').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
    },
    async setLimits(id: string, change: Partial<Pick<RepositoryRow, 'limits' | 'copies_at_once' | 'connections'>>): Promise<void> {
      await db.updateTable('repositories').set(change).where('id', '=', id).execute();
    },
    /** Of those that have a number of their own, by their ids. */
    async copiesAtOnce(): Promise<ReadonlyMap<string, number>> {
      const rows = await db.selectFrom('repositories').select(['id', 'copies_at_once']).where('copies_at_once', 'is not', null).$narrowType<{ copies_at_once: number }>().execute();
      return new Map(rows.map((row) => [row.id, row.copies_at_once]));
    },
    async setImmutable(id: string, immutable: string): Promise<void> {
      await db.updateTable('repositories').set({ immutable }).where('id', '=', id).execute();
    },
    /** Somebody else's until now. */
    async takeOver(id: string): Promise<void> {
      await db.updateTable('repositories').set({ is_attached: 0 }).where('id', '=', id).execute();
    },
    async setGateways(id: string, gateways: string): Promise<void> {
      await db.updateTable('repositories').set({ gateways }).where('id', '=', id).execute();
    },
    async putArchive(row: ArchiveRow): Promise<void> {
      const { set_name, sealed_key } = row;
      await db.insertInto('archives').values(row).onConflict((on) => on.columns(['repository', 'set_id']).doUpdateSet({ set_name, sealed_key })).execute();
    },
    async archives(repository: string): Promise<ArchiveRow[]> {
      return await db.selectFrom('archives').selectAll().where('repository', '=', repository).orderBy('set_name').orderBy('set_id').execute();
    },
    async archive(repository: string, setId: string): Promise<ArchiveRow | undefined> {
      return await db.selectFrom('archives').selectAll().where('repository', '=', repository).where('set_id', '=', setId).executeTakeFirst();
    },
  };
}
