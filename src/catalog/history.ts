/**
 * History that is old enough to go: sessions with all they said, runs of policies, publications and alarms.
 *
 * It goes in lots, each a transaction of its own, from the oldest on: a pass looks at each row that is old once, whether that goes or stays,
 * and nobody waits for more than one lot. What stays, and why, is in docs/design/sessions.md ("How long history is kept").
 */
import { sql, type Kysely, type RawBuilder, type SqlBool, type Transaction } from 'kysely';
import { asOwner, type Fence } from './servers.ts';
import type { Tables } from './tables.ts';

/** How far a pass has come: the end of the row it looked at last. */
export type Reached = { readonly ms: number; readonly id: string };
/** `reached` null: the pass is over. */
export type Lot = { readonly gone: number; readonly reached: Reached | null };

/** So many of each kind about one object stay, however old they are. */
export const newestKept = 20;

type Old = { readonly id: string; readonly ended_ms: number | null };

export function historyStore(db: Kysely<Tables>, fence: Fence, keep = newestKept) {
  return {
    /** Sessions that ended before a moment. They are counted as before. */
    async forgetSessions(beforeMs: number, from: Reached | null, most: number): Promise<Lot> {
      return await asOwner(db, fence, async (tx) => {
        const old = await tx
          .selectFrom('sessions')
          .select(['id', 'kind', 'state', 'object_kind', 'object_id', 'set_id', 'ended_ms', 'is_plan'])
          .where('ended_ms', '<', beforeMs)
          .where(behind(from))
          .orderBy('ended_ms')
          .orderBy('id')
          .limit(most)
          .execute();
        if (old.length === 0) return { gone: 0, reached: null };
        const named = await namedElsewhere(tx, old.map(({ id }) => id));
        const going: typeof old = [];
        for (const [, alike] of Map.groupBy(old, (row) => `${row.kind} ${subjectOf(row)}`)) {
          const first = await firstKept(tx, alike[0]!, keep);
          going.push(...alike.filter(({ id }) => first !== undefined && id < first && !named.has(id)));
        }
        for (const alike of Map.groupBy(going.filter(({ is_plan }) => is_plan === 0), ({ kind, state }) => `${kind} ${state}`).values()) {
          const { kind, state } = alike[0]!;
          await tx.insertInto('session_tallies').values({ kind, state, count: alike.length }).onConflict((on) => on.columns(['kind', 'state']).doUpdateSet((row) => ({ count: row('session_tallies.count', '+', alike.length) }))).execute();
        }
        if (going.length > 0) await tx.deleteFrom('sessions').where('id', 'in', going.map(({ id }) => id)).execute();
        return { gone: going.length, reached: reachedBy(old) };
      });
    },

    /** Runs of policies that ended before a moment, with their parts. Of a policy that is there the newest stay. */
    async forgetRuns(beforeMs: number, from: Reached | null, most: number): Promise<Lot> {
      return await asOwner(db, fence, async (tx) => {
        const old = await tx
          .selectFrom('policy_runs')
          .select(['id', 'policy', 'ended_ms'])
          .where('ended_ms', '<', beforeMs)
          .where('state', '!=', 'open')
          .where(behind(from))
          .orderBy('ended_ms')
          .orderBy('id')
          .limit(most)
          .execute();
        if (old.length === 0) return { gone: 0, reached: null };
        const going: string[] = [];
        for (const [policy, runs] of Map.groupBy(old, (row) => row.policy)) {
          const isThere = (await tx.selectFrom('policies').select('id').where('id', '=', policy).executeTakeFirst()) !== undefined;
          const kept = isThere ? await tx.selectFrom('policy_runs').select('id').where('policy', '=', policy).orderBy('id', 'desc').limit(keep).execute() : [];
          const first = isThere ? kept.at(-1)?.id : undefined;
          going.push(...runs.flatMap(({ id }) => (!isThere || (first !== undefined && id < first) ? [id] : [])));
        }
        if (going.length > 0) {
          await tx.deleteFrom('policy_parts').where('run', 'in', going).execute();
          await tx.deleteFrom('policy_runs').where('id', 'in', going).execute();
        }
        return { gone: going.length, reached: reachedBy(old) };
      });
    },

    /** Publications that ended, and alarms that are settled. Of the alarms of a set the newest stay. */
    async forgetSettled(beforeMs: number): Promise<number> {
      return await asOwner(db, fence, async (tx) => {
        const publications = await tx.deleteFrom('publications').where('state', '=', 'ended').where('expires_ms', '<', beforeMs).executeTakeFirst();
        const hosts = await tx.deleteFrom('host_alarms').where('is_settled', '=', 1).where('raised_ms', '<', beforeMs).executeTakeFirst();
        let gone = publications.numDeletedRows + hosts.numDeletedRows;
        const old = await tx.selectFrom('alarms').select('set_id').distinct().where('is_settled', '=', 1).where('raised_ms', '<', beforeMs).execute();
        for (const { set_id } of old) {
          const newest = tx.selectFrom('alarms').select('id').where('set_id', '=', set_id).orderBy('at_ms', 'desc').limit(keep);
          const { numDeletedRows } = await tx.deleteFrom('alarms').where('set_id', '=', set_id).where('is_settled', '=', 1).where('raised_ms', '<', beforeMs).where('id', 'not in', newest).executeTakeFirst();
          gone += numDeletedRows;
        }
        return Number(gone);
      });
    },
  };
}

/** What sessions are alike about: their object, and of those about a restore point the set that it is of. */
const subjectOf = ({ object_kind, object_id, set_id }: { object_kind: string; object_id: string; set_id: string | null }): string => (object_kind === 'point' ? `points of ${set_id}` : object_id);

/** The oldest of the newest that stay, among all that are alike; undefined: they are not so many. */
async function firstKept(tx: Transaction<Tables>, like: { kind: string; object_kind: string; object_id: string; set_id: string | null }, keep: number): Promise<string | undefined> {
  const alike = tx.selectFrom('sessions').select('id').where('kind', '=', like.kind);
  const ofSubject = like.object_kind === 'point' ? alike.where('set_id', '=', like.set_id).where('object_kind', '=', 'point') : alike.where('object_id', '=', like.object_id);
  const newest = await ofSubject.orderBy('id', 'desc').limit(keep).execute();
  return newest.length < keep ? undefined : newest.at(-1)?.id;
}

/** Those that a run, an alarm or a publication that is there still names. */
async function namedElsewhere(tx: Transaction<Tables>, ids: readonly string[]): Promise<ReadonlySet<string | null>> {
  const parts = await tx.selectFrom('policy_parts').select('session').where('session', 'in', ids).execute();
  const alarms = await tx.selectFrom('alarms').select('backup_session as session').where('backup_session', 'in', ids).execute();
  const publications = await tx.selectFrom('publications').select('session').where('session', 'in', ids).execute();
  return new Set([...parts, ...alarms, ...publications].map(({ session }) => session));
}

/** In the order of a pass. */
function behind(from: Reached | null): RawBuilder<SqlBool> {
  const { ms, id } = from ?? { ms: -1, id: '' };
  return sql<SqlBool>`(ended_ms > ${ms} or (ended_ms = ${ms} and id > ${id}))`;
}

function reachedBy(old: readonly Old[]): Reached {
  const last = old.at(-1)!;
  return { ms: last.ended_ms ?? 0, id: last.id };
}
