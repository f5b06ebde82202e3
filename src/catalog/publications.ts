import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type PublicationRow = Selectable<Tables['publications']>;

export function publicationStore(db: Kysely<Tables>) {
  return {
    async add(row: PublicationRow): Promise<void> {
      await db.insertInto('publications').values(row).execute();
    },
    async find(id: string): Promise<PublicationRow | undefined> {
      return await db.selectFrom('publications').selectAll().where('id', '=', id).executeTakeFirst();
    },
    async ofSession(session: string): Promise<PublicationRow | undefined> {
      return await db.selectFrom('publications').selectAll().where('session', '=', session).executeTakeFirst();
    },
    /** Those that have not ended, and those that expired after `sinceMs`. */
    async list(sinceMs: number): Promise<PublicationRow[]> {
      return await db
        .selectFrom('publications')
        .selectAll()
        .where((or) => or.or([or('state', '!=', 'ended'), or('expires_ms', '>', sinceMs)]))
        .orderBy('started_ms')
        .execute();
    },
    async update(id: string, change: Partial<Pick<PublicationRow, 'session' | 'state' | 'uri' | 'says'>>): Promise<void> {
      await db.updateTable('publications').set(change).where('id', '=', id).execute();
    },
  };
}
