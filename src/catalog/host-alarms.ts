import type { Kysely, Selectable } from 'kysely';
import { addNews } from './news.ts';
import type { Tables } from './tables.ts';

export type HostAlarmRow = Selectable<Tables['host_alarms']>;
export type NewHostAlarm = Pick<HostAlarmRow, 'id' | 'place' | 'at_ms' | 'says'>;

export function hostAlarmStore(db: Kysely<Tables>) {
  return {
    /** What stands on a host now: what is new is raised, with its news, and what is no more is settled. Answers what was new. */
    async stand(host: string, alarms: readonly NewHostAlarm[], nowMs: number): Promise<NewHostAlarm[]> {
      return await db.transaction().execute(async (tx) => {
        const known = await tx.selectFrom('host_alarms').select(['id', 'is_settled']).where('host', '=', host).execute();
        const gone = known.filter(({ id, is_settled }) => is_settled === 0 && !alarms.some((alarm) => alarm.id === id)).map(({ id }) => id);
        if (gone.length > 0) await tx.updateTable('host_alarms').set({ is_settled: 1 }).where('id', 'in', gone).execute();
        const raised: NewHostAlarm[] = [];
        for (const alarm of alarms) {
          const { numInsertedOrUpdatedRows } = await tx.insertInto('host_alarms').values({ ...alarm, host, raised_ms: nowMs, is_settled: 0 }).onConflict((on) => on.column('id').doNothing()).executeTakeFirst();
          if ((numInsertedOrUpdatedRows ?? 0n) === 0n) continue;
          await addNews(tx, { kind: 'alarm', ref: alarm.id, at_ms: nowMs });
          raised.push(alarm);
        }
        return raised;
      });
    },
    async find(id: string): Promise<HostAlarmRow | undefined> {
      return await db.selectFrom('host_alarms').selectAll().where('id', '=', id).executeTakeFirst();
    },
    async unsettled(): Promise<HostAlarmRow[]> {
      return await db.selectFrom('host_alarms').selectAll().where('is_settled', '=', 0).orderBy('raised_ms').execute();
    },
  };
}
