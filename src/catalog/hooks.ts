import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type HookRow = Selectable<Tables['hooks']>;

export function hookStore(db: Kysely<Tables>) {
  return {
    add: async (row: HookRow): Promise<void> => void (await db.insertInto('hooks').values(row).execute()),
    async list(setId?: string): Promise<HookRow[]> {
      const all = db.selectFrom('hooks').selectAll().orderBy('id');
      return await (setId === undefined ? all : all.where('set_id', '=', setId)).execute();
    },
    remove: async (id: string): Promise<void> => void (await db.deleteFrom('hooks').where('id', '=', id).execute()),
  };
}
