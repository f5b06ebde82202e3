/**
 * News and tellings: the outbox. News is added in the transaction of what it is about; what becomes of it is
 * docs/design/telling.md.
 */
import type { Kysely, Selectable, Transaction } from 'kysely';
import { systemClock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import type { Tables } from './tables.ts';

export type NewsRow = Selectable<Tables['news']>;
/** Rules name their objects: one that is called otherwise is still meant. */
export async function renameInRules(tx: Transaction<Tables>, kind: 'group' | 'policy', from: string, to: string): Promise<void> {
  for (const { id, rule } of await tx.selectFrom('notifications').select(['id', 'rule']).execute()) {
    const { about, ...rest } = JSON.parse(rule) as { about: string[] };
    if (about.includes(`${kind}:${from}`)) await tx.updateTable('notifications').set({ rule: JSON.stringify({ ...rest, about: about.map((each) => (each === `${kind}:${from}` ? `${kind}:${to}` : each)) }) }).where('id', '=', id).execute();
  }
}

export type NotificationRow = Selectable<Tables['notifications']>;
export type TellingRow = Selectable<Tables['tellings']>;
/** `ended`: how the session did that it is about. */
export type HeldRow = NewsRow & Pick<TellingRow, 'news' | 'notification' | 'tries'> & { readonly ended: string | null };
export type NewNews = Pick<NewsRow, 'kind' | 'ref' | 'at_ms'>;

export async function addNews(tx: Transaction<Tables>, news: NewNews): Promise<string> {
  const id = sortableId({ ...systemClock, now: () => news.at_ms });
  await tx.insertInto('news').values({ id, ...news, is_shared: 0 }).execute();
  return id;
}

/** Settings, by set. The ids of news cannot say which was the last: they are in the order of a clock that may have been ahead. */
export const toldUnprotected = 'protection.told-unprotected:';

async function keepTold(db: Kysely<Tables>, set: string, atMs: number | null): Promise<void> {
  const name = `${toldUnprotected}${set}`;
  if (atMs === null) await db.deleteFrom('settings').where('name', '=', name).execute();
  else await db.insertInto('settings').values({ name, value: String(atMs) }).onConflict((on) => on.column('name').doUpdateSet({ value: String(atMs) })).execute();
}

/** One that is told is not told again: two servers, or a retry, cannot both end it. */
const open = ['waiting', 'held'];

export function newsStore(db: Kysely<Tables>) {
  const share = async (tx: Transaction<Tables>, news: string, tellings: readonly Pick<TellingRow, 'notification' | 'state' | 'next_ms'>[]): Promise<void> => {
    const { numUpdatedRows } = await tx.updateTable('news').set({ is_shared: 1 }).where('id', '=', news).where('is_shared', '=', 0).executeTakeFirst();
    if (numUpdatedRows === 0n || tellings.length === 0) return;
    await tx.insertInto('tellings').values(tellings.map((one) => ({ news, tries: 0, ended_ms: null, ...one }))).execute();
  };
  return {
    add: async (news: NewNews): Promise<string> => await db.transaction().execute(async (tx) => await addNews(tx, news)),
    async toShare(limit = 200): Promise<NewsRow[]> {
      return await db.selectFrom('news').selectAll().where('is_shared', '=', 0).orderBy('id').limit(limit).execute();
    },
    /** Gives the news to those it fits, and marks it. */
    async share(news: string, tellings: readonly Pick<TellingRow, 'notification' | 'state' | 'next_ms'>[]): Promise<void> {
      await db.transaction().execute(async (tx) => await share(tx, news, tellings));
    },
    /** News for one notification alone, whose next summary counts from a moment. */
    async addSummary(notification: string, nowMs: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.updateTable('notifications').set({ summary_from_ms: nowMs }).where('id', '=', notification).execute();
        await share(tx, await addNews(tx, { kind: 'summary', ref: notification, at_ms: nowMs }), [{ notification, state: 'waiting', next_ms: nowMs }]);
      });
    },
    async find(id: string): Promise<NewsRow | undefined> {
      return await db.selectFrom('news').selectAll().where('id', '=', id).executeTakeFirst();
    },
    /** The sets that were told as unprotected, and when. */
    async toldUnprotected(): Promise<ReadonlyMap<string, number>> {
      const rows = await db.selectFrom('settings').selectAll().where('name', 'like', `${toldUnprotected}%`).execute();
      return new Map(rows.map(({ name, value }) => [name.slice(toldUnprotected.length), Number(value)]));
    },
    /** News of a set's protection, and that it was told. */
    async addProtection(kind: 'unprotected' | 'protected', set: string, atMs: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await addNews(tx, { kind, ref: set, at_ms: atMs });
        await keepTold(tx, set, kind === 'unprotected' ? atMs : null);
      });
    },
    /** Null: it was not, or is not there any more. */
    keepTold: async (set: string, atMs: number | null): Promise<void> => await keepTold(db, set, atMs),
    async tellings(notification: string, state: string, limit: number): Promise<TellingRow[]> {
      return await db.selectFrom('tellings').selectAll().where('notification', '=', notification).where('state', '=', state).orderBy('news').limit(limit).execute();
    },
    /** What the next digest tells of, in the order of the news. */
    async held(notification: string, limit: number): Promise<HeldRow[]> {
      const held = db.selectFrom('tellings').innerJoin('news', 'news.id', 'tellings.news').leftJoin('sessions', 'sessions.id', 'news.ref').where('tellings.notification', '=', notification).where('tellings.state', '=', 'held');
      return await held.selectAll('news').select(['tellings.news', 'tellings.notification', 'tellings.tries', 'sessions.state as ended']).orderBy('tellings.news').limit(limit).execute();
    },
    async waiting(): Promise<{ notification: string; count: number }[]> {
      const rows = await db.selectFrom('tellings').select((row) => ['notification', row.fn.countAll<number>().as('count')] as const).where('state', 'in', open).groupBy('notification').execute();
      return rows.map(({ notification, count }) => ({ notification, count: Number(count) }));
    },
    async change(telling: Pick<TellingRow, 'news' | 'notification'>, change: Pick<TellingRow, 'tries' | 'next_ms'>): Promise<void> {
      await db.updateTable('tellings').set(change).where('news', '=', telling.news).where('notification', '=', telling.notification).execute();
    },
    /** What waits comes with the digest. */
    async hold(notification: string): Promise<void> {
      await db.updateTable('tellings').set({ state: 'held' }).where('notification', '=', notification).where('state', '=', 'waiting').execute();
    },
    /** What waits is due at once. */
    async hasten(notification: string, nowMs: number): Promise<void> {
      await db.updateTable('tellings').set({ next_ms: nowMs }).where('notification', '=', notification).where('state', 'in', open).execute();
    },
    /** Ends tellings, and counts it. */
    async end(notification: string, news: readonly string[], state: 'told' | 'given-up', says: string | null, nowMs: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.updateTable('tellings').set({ state, ended_ms: nowMs }).where('notification', '=', notification).where('news', 'in', [...news]).where('state', 'in', open).execute();
        const column = state === 'told' ? 'told' : 'given_up';
        await tx.updateTable('notifications').set((row) => ({ [column]: row(column, '+', news.length), says })).where('id', '=', notification).execute();
      });
    },
    /** What happened while the clock was ahead happens now: else it would be tried, and kept, until that moment comes. */
    async countFrom(nowMs: number): Promise<void> {
      await db.updateTable('news').set({ at_ms: nowMs }).where('at_ms', '>', nowMs).execute();
    },
    /** Deletes what is over. */
    async forgetBefore(ms: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('tellings').where('state', 'not in', open).where('news', 'in', (query) => query.selectFrom('news').select('id').where('at_ms', '<', ms)).execute();
        await tx.deleteFrom('news').where('at_ms', '<', ms).where('is_shared', '=', 1).where('id', 'not in', (query) => query.selectFrom('tellings').select('news')).execute();
      });
    },
  };
}

export function notificationStore(db: Kysely<Tables>) {
  return {
    /** False when the name is taken. */
    async add(row: NotificationRow): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('notifications').values(row).onConflict((on) => on.column('name').doNothing()).executeTakeFirst();
      return (numInsertedOrUpdatedRows ?? 0n) > 0n;
    },
    async list(): Promise<NotificationRow[]> {
      return await db.selectFrom('notifications').selectAll().orderBy('name').execute();
    },
    async find(nameOrId: string): Promise<NotificationRow | undefined> {
      return await db.selectFrom('notifications').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
    },
    async countFrom(id: string, change: Pick<NotificationRow, 'added_ms' | 'summary_from_ms'>): Promise<void> {
      await db.updateTable('notifications').set(change).where('id', '=', id).execute();
    },
    async say(id: string, says: string | null): Promise<void> {
      await db.updateTable('notifications').set({ says }).where('id', '=', id).execute();
    },
    /** With what it was still to be told. */
    async remove(id: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('tellings').where('notification', '=', id).execute();
        await tx.deleteFrom('notifications').where('id', '=', id).execute();
      });
    },
  };
}
