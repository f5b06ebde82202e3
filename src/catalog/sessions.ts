/**
 * Sessions as they are kept. A session's state, its end event and its lane change in one transaction, and every change
 * of state names the state it expects: of two that want the same move, one does it. Every write is that of a server that
 * is still one (servers.ts): from one that was replaced nothing more comes.
 */
import type { Kysely, Selectable, SelectQueryBuilder, Transaction } from 'kysely';
import { hasEnded, moveSession, type SessionMove, type SessionStanding, type SessionState } from '../domain/session.ts';
import { alreadyBegun, laneTaken } from './failures.ts';
import { addNews } from './news.ts';
import { asOwner, type Fence } from './servers.ts';
import type { Tables } from './tables.ts';

export type SessionRow = Selectable<Tables['sessions']>;
export type EventRow = Selectable<Tables['session_events']>;
export type TaskRow = Selectable<Tables['session_tasks']>;

export type NewSession = Pick<SessionRow, 'id' | 'kind' | 'object_kind' | 'object_id' | 'object_name' | 'set_id' | 'lane' | 'sealed_wish' | 'created_ms' | 'reason' | 'retry_of'> & { readonly claim?: string | null; readonly isPlan?: boolean };
export type SessionEnd = { readonly result: string | null; readonly failure: string | null };

/** An endless session keeps this many of its newest events. */
export const eventsKept = 10_000;

export function sessionStore(db: Kysely<Tables>, fence: Fence, keep = eventsKept) {
  const append = appender(keep);
  return {
    ...records(db, fence, append),
    ...ownership(db, fence),
    ...log(db, fence, append),
    ...progress(db, fence),
  };
}

type Append = ReturnType<typeof appender>;

const tried = 20;

async function newestSince(query: SelectQueryBuilder<Tables, 'sessions', SessionRow>, sinceMs: number, nowMs: number): Promise<SessionRow[]> {
  const newest = query.where('created_ms', '>=', sinceMs).orderBy('id', 'desc');
  const rows = await newest.where('created_ms', '<=', nowMs).limit(tried).execute();
  return rows.length === tried ? rows : [...rows, ...(await newest.where('created_ms', '>', nowMs).limit(tried - rows.length).execute())];
}

function records(db: Kysely<Tables>, fence: Fence, append: Append) {
  return {
    /** Fails with catalog.lane-taken when another open session has the lane, and with catalog.already-begun when one was begun for the same claim. */
    async open(session: NewSession): Promise<void> {
      await asOwner(db, fence, async (tx) => {
        const { claim = null, isPlan = false, ...given } = session;
        const claimed = claim === null ? undefined : await tx.selectFrom('sessions').select('id').where('claim', '=', claim).executeTakeFirst();
        if (claimed !== undefined) throw alreadyBegun({ claim: String(claim), session: claimed.id });
        if (session.lane !== null) {
          const holder = await tx.selectFrom('sessions').select('id').where('lane', '=', session.lane).executeTakeFirst();
          if (holder !== undefined) throw laneTaken({ lane: session.lane, session: holder.id });
        }
        const fresh = { claim, is_plan: isPlan ? 1 : 0, state: 'waiting', stopping: 0, started_ms: null, ended_ms: null, progress: null, warnings: 0, result: null, failure: null, server: fence.own.id };
        await tx.insertInto('sessions').values({ ...given, ...fresh }).execute();
        await append(tx, session.id, session.created_ms, { kind: 'state', state: 'waiting' });
      });
    },

    async find(id: string): Promise<SessionRow | undefined> {
      return await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst();
    },

    /** The one that was begun for a claim. */
    async begunFor(claim: string): Promise<string | undefined> {
      return (await db.selectFrom('sessions').select('id').where('claim', '=', claim).executeTakeFirst())?.id;
    },

    async list(filter: { setId?: string; kind?: string; state?: string; before?: string; limit: number }): Promise<SessionRow[]> {
      let query = db.selectFrom('sessions').selectAll();
      if (filter.setId !== undefined) query = query.where('set_id', '=', filter.setId);
      if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
      if (filter.state !== undefined) query = query.where('state', '=', filter.state);
      if (filter.before !== undefined) query = query.where('id', '<', filter.before);
      return await query.orderBy('id', 'desc').limit(filter.limit).execute();
    },

    /** The newest of a kind that is about an object. */
    async newest(kind: string, objectId: string): Promise<SessionRow | undefined> {
      return await db.selectFrom('sessions').selectAll().where('kind', '=', kind).where('object_id', '=', objectId).orderBy('id', 'desc').limit(1).executeTakeFirst();
    },

    /** Backups of a set that were asked for at or after a moment, newest first; behind them those that a clock which was ahead has put after now. */
    async backupsSince(setId: string, sinceMs: number, nowMs: number): Promise<SessionRow[]> {
      const backups = db.selectFrom('sessions').selectAll().where('set_id', '=', setId).where('kind', '=', 'backup');
      return await newestSince(backups, sinceMs, nowMs);
    },

    /** Proofs of single points of a set, as `backupsSince` has backups. */
    async proofsSince(setId: string, sinceMs: number, nowMs: number): Promise<SessionRow[]> {
      const proofs = db.selectFrom('sessions').selectAll().where('set_id', '=', setId).where('kind', '=', 'verify').where('object_kind', '=', 'point');
      return await newestSince(proofs, sinceMs, nowMs);
    },

    /** Open sessions of a kind. */
    async unfinishedOf(kind: string): Promise<SessionRow[]> {
      return await db.selectFrom('sessions').selectAll().where('kind', '=', kind).where('state', 'in', ['waiting', 'working']).orderBy('id').execute();
    },

    /** How many there are of each kind and state but plans, and of those that have ended how many there ever were. */
    async counts(): Promise<{ kind: string; state: string; count: number }[]> {
      const rows = [
        ...(await db.selectFrom('session_tallies').selectAll().execute()),
        ...(await db.selectFrom('sessions').select((row) => ['kind', 'state', row.fn.countAll<number>().as('count')] as const).where('is_plan', '=', 0).groupBy(['kind', 'state']).execute()),
      ];
      const sums = [...Map.groupBy(rows, ({ kind, state }) => `${kind} ${state}`).values()].map((alike) => ({ kind: alike[0]!.kind, state: alike[0]!.state, count: alike.reduce((sum, { count }) => sum + Number(count), 0) }));
      return sums.sort((a, b) => (`${a.kind} ${a.state}` < `${b.kind} ${b.state}` ? -1 : 1));
    },

    /** Those that ended in a span of time, oldest first. Plans have done nothing. */
    async endedBetween(fromMs: number, toMs: number, limit: number): Promise<SessionRow[]> {
      return await db.selectFrom('sessions').selectAll().where('ended_ms', '>=', fromMs).where('ended_ms', '<', toMs).where('is_plan', '=', 0).orderBy('id').limit(limit).execute();
    },

    /** Sessions a server has to take up when it starts. */
    async unfinished(): Promise<SessionRow[]> {
      return await db.selectFrom('sessions').selectAll().where('state', 'in', ['waiting', 'working']).orderBy('id').execute();
    },

    /** Makes a move of domain/session.ts; answers the new standing, or `refused`. */
    async move(id: string, move: SessionMove, nowMs: number, end: SessionEnd = { result: null, failure: null }): Promise<SessionStanding | 'refused'> {
      return await asOwner(db, fence, async (tx) => {
        const row = await tx.selectFrom('sessions').select(['state', 'stopping', 'is_plan']).where('id', '=', id).executeTakeFirst();
        if (row === undefined) return 'refused';
        const next = moveSession({ state: row.state as SessionState, stopping: row.stopping === 1 }, move);
        if (next === 'refused') return next;
        const change: Partial<SessionRow> = { state: next.state, stopping: next.stopping ? 1 : 0 };
        if (move.kind === 'start') change.started_ms = nowMs;
        if (hasEnded(next.state)) Object.assign(change, { ended_ms: nowMs, lane: null, ...end });
        await tx.updateTable('sessions').set(change).where('id', '=', id).execute();
        if (next.state !== row.state) await append(tx, id, nowMs, { kind: 'state', state: next.state });
        if (hasEnded(next.state) && row.is_plan === 0) await addNews(tx, { kind: 'session', ref: id, at_ms: nowMs });
        return next;
      });
    },
  };
}

function ownership(db: Kysely<Tables>, fence: Fence) {
  return {
    /** Makes open sessions that are nobody's this server's, in the order of the index by state: all that have ended are not looked at. */
    async claim(most: number): Promise<SessionRow[]> {
      return await asOwner(db, fence, async (tx) => {
        const servers = tx.selectFrom('servers').select('id');
        const free = await tx.selectFrom('sessions').select('id').where('state', 'in', ['waiting', 'working']).where((or) => or.or([or('server', 'is', null), or('server', 'not in', servers)])).orderBy('state').orderBy('id').limit(most).execute();
        if (free.length === 0) return [];
        return await tx.updateTable('sessions').set({ server: fence.own.id }).where('id', 'in', free.map(({ id }) => id)).returningAll().execute();
      });
    },
    /** Open sessions of this server. */
    async own(): Promise<SessionRow[]> {
      return await db.selectFrom('sessions').selectAll().where('server', '=', fence.own.id ?? '').where('state', 'in', ['waiting', 'working']).orderBy('id').execute();
    },
    /** Sessions of this server that somebody has asked to stop, maybe at another one. */
    async askedToStop(): Promise<string[]> {
      const rows = await db.selectFrom('sessions').select('id').where('server', '=', fence.own.id ?? '').where('state', '=', 'working').where('stopping', '=', 1).execute();
      return rows.map(({ id }) => id);
    },
  };
}

function log(db: Kysely<Tables>, fence: Fence, append: Append) {
  return {
    /** Adds one event; answers its number. `taskAt` moves a task's cursor in the same transaction. */
    async append(session: string, atMs: number, event: object, taskAt?: { taskId: string; after: number }): Promise<number> {
      return await asOwner(db, fence, async (tx) => {
        if (taskAt !== undefined) await tx.updateTable('session_tasks').set({ after: taskAt.after }).where('task_id', '=', taskAt.taskId).execute();
        return await append(tx, session, atMs, event);
      });
    },
    async events(session: string, after: number, limit: number): Promise<EventRow[]> {
      return await db.selectFrom('session_events').selectAll().where('session', '=', session).where('number', '>', after).orderBy('number').limit(limit).execute();
    },
    async steps(session: string): Promise<EventRow[]> {
      return await db.selectFrom('session_events').selectAll().where('session', '=', session).where('event', 'like', '{"kind":"step"%').orderBy('number').execute();
    },
    async setProgress(session: string, progress: string): Promise<void> {
      await asOwner(db, fence, async (tx) => await tx.updateTable('sessions').set({ progress }).where('id', '=', session).execute());
    },
    async addWarning(session: string): Promise<void> {
      await asOwner(db, fence, async (tx) => await tx.updateTable('sessions').set((row) => ({ warnings: row('warnings', '+', 1) })).where('id', '=', session).execute());
    },
  };
}

function progress(db: Kysely<Tables>, fence: Fence) {
  return {
    async note(session: string, name: string): Promise<string | undefined> {
      return (await db.selectFrom('session_notes').select('sealed_value').where('session', '=', session).where('name', '=', name).executeTakeFirst())?.sealed_value;
    },
    async putNote(session: string, name: string, sealed_value: string): Promise<void> {
      await asOwner(db, fence, async (tx) => await tx.insertInto('session_notes').values({ session, name, sealed_value }).onConflict((on) => on.columns(['session', 'name']).doUpdateSet({ sealed_value })).execute());
    },
    async task(session: string, name: string): Promise<TaskRow | undefined> {
      return await db.selectFrom('session_tasks').selectAll().where('session', '=', session).where('name', '=', name).executeTakeFirst();
    },
    async addTask(row: Pick<TaskRow, 'task_id' | 'session' | 'name' | 'kind' | 'host'>): Promise<void> {
      await asOwner(db, fence, async (tx) => await tx.insertInto('session_tasks').values({ ...row, is_accepted: 0, after: 0, outcome: null }).execute());
    },
    async updateTask(taskId: string, change: Partial<Pick<TaskRow, 'is_accepted' | 'after' | 'outcome'>>): Promise<void> {
      await asOwner(db, fence, async (tx) => await tx.updateTable('session_tasks').set(change).where('task_id', '=', taskId).execute());
    },
    /** Removes a piece of work that is over: the task of this name, those that served it, and what was noted for them, whose names all go on with `: `. */
    async dropWork(session: string, name: string): Promise<void> {
      const under = `${name}: `;
      await asOwner(db, fence, async (tx) => {
        for (const table of ['session_tasks', 'session_notes'] as const) {
          await tx.deleteFrom(table).where('session', '=', session).where((row) => row.or([row('name', '=', name), row(row.fn<string>('substr', ['name', row.lit(1), row.lit(under.length)]), '=', under)])).execute();
        }
      });
    },
    /** Tasks of sessions that are open: those a host is still to run. */
    async openTasks(): Promise<TaskRow[]> {
      return await db
        .selectFrom('session_tasks')
        .innerJoin('sessions', 'sessions.id', 'session_tasks.session')
        .selectAll('session_tasks')
        .where('sessions.state', 'in', ['waiting', 'working'])
        .where('session_tasks.outcome', 'is', null)
        .execute();
    },
  };
}

function appender(keep: number) {
  return async (tx: Transaction<Tables>, session: string, atMs: number, event: object): Promise<number> => {
    const last = await tx.selectFrom('session_events').select((row) => row.fn.max('number').as('number')).where('session', '=', session).executeTakeFirst();
    const number = Number(last?.number ?? 0) + 1;
    await tx.insertInto('session_events').values({ session, number, at_ms: atMs, event: JSON.stringify(event) }).execute();
    if (number % Math.ceil(keep / 10) === 0) await tx.deleteFrom('session_events').where('session', '=', session).where('number', '<=', number - keep).execute();
    return number;
  };
}
