/**
 * The servers at work on this catalog, and what makes one the owner of a session (docs/design/catalog.md, "Leases").
 *
 *   registered ──renewed every third of the lease──▶ registered ──silent for the lease, by the database's clock──▶ its row is taken away
 *                                                        └ ends by itself: it takes its row away
 *
 * A row is one start of a server, and its id is the token: it is never used again. Whatever a server writes about sessions
 * is written in a transaction that holds this row against being taken away. So once it is gone, nothing more comes from
 * that server, however long it was paused, and what it had written before is there for the one that takes over.
 */
import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import { randomId } from '../base/ids.ts';
import { serverReplaced } from './failures.ts';
import type { Tables } from './tables.ts';

export type ServerRow = Selectable<Tables['servers']>;

export type CatalogKind = 'sqlite' | 'postgres';

export type ServerPlace = Pick<Selectable<Tables['server_addresses']>, 'enrolment_host' | 'enrolment_port' | 'orders_host' | 'orders_port'>;

/** A server that has not started, and not said that it is there, for so long is not looked for by hosts any more. */
const forgottenMs = 30 * 86_400_000;

/** Which server this process is; null in a program that runs no sessions. */
export type OwnServer = { id: string | null; name: string };

export type Fence = { readonly kind: CatalogKind; readonly own: OwnServer; /** Called when this server was replaced, before whoever wrote hears of it. */ onReplaced(why: Error): void };

/** The database's own clock: of several servers, each may be wrong about the time. */
export const databaseMs = (kind: CatalogKind) => (kind === 'postgres' ? sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint` : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`);

/** Work in one transaction, as long as this server is still one. */
export async function asOwner<T>(db: Kysely<Tables>, { kind, own, onReplaced }: Fence, work: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
  return await db.transaction().execute(async (tx) => {
    if (own.id !== null) {
      const row = tx.selectFrom('servers').select('id').where('id', '=', own.id);
      // A key share lock stands in the way of a deletion, and not of a renewal.
      const held = await (kind === 'postgres' ? row.forKeyShare() : row).executeTakeFirst();
      if (held === undefined) {
        const why = serverReplaced({ server: own.name });
        onReplaced(why);
        throw why;
      }
    }
    return await work(tx);
  });
}

/** `leases`: renewals go there, past everything else that waits for the database. */
export function serverStore(db: Kysely<Tables>, fence: Fence, leases: Kysely<Tables>) {
  const { kind, own } = fence;
  const now = databaseMs(kind);
  return {
    /** From here on this process is that server. Earlier starts of it are over; with a catalog of its own, so are all others. */
    async register(name: string, version: string, leaseMs: number): Promise<void> {
      const id = randomId();
      await db.transaction().execute(async (tx) => {
        const before = tx.deleteFrom('servers');
        await (kind === 'postgres' ? before.where('name', '=', name) : before).execute();
        await tx.insertInto('servers').values({ id, name, version, started_ms: now, until_ms: sql<number>`${now} + ${sql.lit(leaseMs)}` }).execute();
      });
      Object.assign(own, { id, name });
    },
    /** False when it was replaced. */
    async renew(leaseMs: number): Promise<boolean> {
      const { numUpdatedRows } = await leases.updateTable('servers').set({ until_ms: sql<number>`${now} + ${sql.lit(leaseMs)}` }).where('id', '=', own.id ?? '').executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    /** Takes away the rows of those that were silent for longer than their lease. */
    async endLapsed(): Promise<ServerRow[]> {
      return await asOwner(db, fence, async (tx) => await tx.deleteFrom('servers').where('until_ms', '<', now).where('id', '!=', own.id ?? '').returningAll().execute());
    },
    /** Sessions that it had are free for the others. */
    async leave(): Promise<void> {
      await db.deleteFrom('servers').where('id', '=', own.id ?? '').execute();
    },
    async list(): Promise<ServerRow[]> {
      return await db.selectFrom('servers').selectAll().orderBy('name').execute();
    },
    /** Where hosts reach this server, for all servers to tell them; null: it takes none. With a catalog of its own it is the only one. */
    async announce(address: ServerPlace | null): Promise<void> {
      const { name } = own;
      await db.transaction().execute(async (tx) => {
        const others = tx.deleteFrom('server_addresses');
        await (kind === 'postgres' ? others.where((is) => is.or([is('name', '=', name), is('seen_ms', '<', sql<number>`${now} - ${sql.lit(forgottenMs)}`)])) : others).execute();
        if (address !== null) await tx.insertInto('server_addresses').values({ name, ...address, seen_ms: now }).execute();
      });
    },
    /** The other servers of this catalog by name, and where hosts reach each: those at work, and those that are not but may come back. */
    async others(): Promise<{ name: string; host: string | null }[]> {
      const told = await db.selectFrom('server_addresses').select(['name', 'orders_host']).where('name', '!=', own.name).orderBy('name').execute();
      const atWork = await db.selectFrom('servers').select('name').where('name', '!=', own.name).orderBy('name').execute();
      const silent = atWork.filter(({ name }) => !told.some((one) => one.name === name));
      return [...told.map(({ name, orders_host }) => ({ name, host: orders_host })), ...silent.map(({ name }) => ({ name, host: null }))];
    },
    async places(): Promise<ServerPlace[]> {
      return await db.selectFrom('server_addresses').select(['enrolment_host', 'enrolment_port', 'orders_host', 'orders_port']).orderBy('name').execute();
    },
    /** How far the clock of the database is from a moment of ours. */
    async databaseAhead(nowMs: () => number): Promise<number> {
      const before = nowMs();
      const { rows } = await sql<{ at: number }>`select ${now} as at`.execute(db);
      return Number(rows[0]?.at) - (before + nowMs()) / 2;
    },
    /** True when this server does it from now on, or did already. */
    async takeDuty(name: string): Promise<boolean> {
      const server = own.id;
      if (server === null) return false;
      return await asOwner(db, fence, async (tx) => {
        const held = await tx.selectFrom('duties').leftJoin('servers', 'servers.id', 'duties.server').select(['duties.server', 'servers.id as alive']).where('duties.name', '=', name).executeTakeFirst();
        if (held?.server === server) return true;
        if (held?.alive != null) return false;
        await tx.insertInto('duties').values({ name, server }).onConflict((on) => on.column('name').doUpdateSet({ server })).execute();
        return true;
      });
    },
  };
}
