import type { Kysely, Selectable } from 'kysely';
import { addNews } from './news.ts';
import type { Tables } from './tables.ts';

export type SetRow = Selectable<Tables['sets']>;
export type NamedSet = Pick<SetRow, 'id' | 'name' | 'repository'>;
export type AlarmRow = Selectable<Tables['alarms']>;

/** A statement takes only so many values. */
const atOnce = 1_000;

export function setStore(db: Kysely<Tables>) {
  return {
    async add(row: SetRow): Promise<void> {
      await db.insertInto('sets').values(row).execute();
    },
    /** What policies need to know of sets: what was found of them is long. */
    async names(): Promise<NamedSet[]> {
      return await db.selectFrom('sets').select(['id', 'name', 'repository']).orderBy('name').execute();
    },
    async list(): Promise<SetRow[]> {
      return await db.selectFrom('sets').selectAll().orderBy('name').execute();
    },
    /** Those of these ids that are there. */
    async some(ids: readonly string[]): Promise<SetRow[]> {
      const found: SetRow[] = [];
      for (let from = 0; from < ids.length; from += atOnce) found.push(...(await db.selectFrom('sets').selectAll().where('id', 'in', ids.slice(from, from + atOnce)).execute()));
      return found;
    },
    async find(nameOrId: string): Promise<SetRow | undefined> {
      return await db.selectFrom('sets').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
    },
    async refresh(id: string, discovered: string, nowMs: number): Promise<void> {
      await db.updateTable('sets').set({ discovered, refreshed_ms: nowMs }).where('id', '=', id).execute();
    },
    async moveTo(id: string, repository: string): Promise<void> {
      await db.updateTable('sets').set({ repository }).where('id', '=', id).execute();
    },
    async setOplogMode(id: string, mode: string): Promise<void> {
      await db.updateTable('sets').set({ oplog_mode: mode }).where('id', '=', id).execute();
    },
    async remove(id: string): Promise<void> {
      await db.deleteFrom('sets').where('id', '=', id).execute();
    },

    async putStanding(setId: string, standing: string, nowMs: number): Promise<void> {
      const row = { set_id: setId, standing, at_ms: nowMs };
      await db.insertInto('oplog_standings').values(row).onConflict((on) => on.column('set_id').doUpdateSet({ standing, at_ms: nowMs })).execute();
    },
    async standing(setId: string): Promise<{ standing: string; at_ms: number } | undefined> {
      return await db.selectFrom('oplog_standings').select(['standing', 'at_ms']).where('set_id', '=', setId).executeTakeFirst();
    },

    /** By set. */
    async standings(setIds: readonly string[]): Promise<ReadonlyMap<string, { standing: string; at_ms: number }>> {
      const rows = setIds.length === 0 ? [] : await db.selectFrom('oplog_standings').selectAll().where('set_id', 'in', setIds).execute();
      return new Map(rows.map(({ set_id, ...row }) => [set_id, row]));
    },

    /** False when this very alarm is known already: what raised it was told twice. */
    async raiseAlarm(row: AlarmRow): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        const { numInsertedOrUpdatedRows } = await tx.insertInto('alarms').values(row).onConflict((on) => on.column('id').doNothing()).executeTakeFirst();
        const isNew = (numInsertedOrUpdatedRows ?? 0n) > 0n;
        if (isNew) await addNews(tx, { kind: 'alarm', ref: row.id, at_ms: row.raised_ms });
        return isNew;
      });
    },
    async alarm(id: string): Promise<AlarmRow | undefined> {
      return await db.selectFrom('alarms').selectAll().where('id', '=', id).executeTakeFirst();
    },
    async answerAlarm(id: string, change: Partial<Pick<AlarmRow, 'backup_session' | 'is_settled'>>): Promise<void> {
      await db.updateTable('alarms').set(change).where('id', '=', id).execute();
    },
    async countAlarmFrom(id: string, atMs: number): Promise<void> {
      await db.updateTable('alarms').set({ raised_ms: atMs }).where('id', '=', id).execute();
    },
    async alarms(setId: string, limit = 20): Promise<AlarmRow[]> {
      return await db.selectFrom('alarms').selectAll().where('set_id', '=', setId).orderBy('at_ms', 'desc').limit(limit).execute();
    },
    /** The newest of each of some sets, as `alarms` has them. */
    async alarmsOf(setIds: readonly string[], limit = 20): Promise<ReadonlyMap<string, AlarmRow[]>> {
      const rows = setIds.length === 0 ? [] : await db.selectFrom('alarms').selectAll().where('set_id', 'in', setIds).orderBy('at_ms', 'desc').execute();
      return new Map([...Map.groupBy(rows, ({ set_id }) => set_id)].map(([set, of]) => [set, of.slice(0, limit)]));
    },
    async unsettledAlarms(): Promise<AlarmRow[]> {
      return await db.selectFrom('alarms').selectAll().where('is_settled', '=', 0).orderBy('raised_ms').execute();
    },
  };
}
