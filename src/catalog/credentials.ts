import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type CredentialRow = Selectable<Tables['credentials']>;
export type HostKeyRow = Selectable<Tables['host_keys']>;

export function credentialStore(db: Kysely<Tables>) {
  return {
    /** False when the name is taken. */
    async add(row: CredentialRow): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('credentials').values(row).onConflict((on) => on.column('name').doNothing()).executeTakeFirst();
      return (numInsertedOrUpdatedRows ?? 0n) > 0n;
    },
    async list(): Promise<CredentialRow[]> {
      return await db.selectFrom('credentials').selectAll().orderBy('name').execute();
    },
    async find(nameOrId: string): Promise<CredentialRow | undefined> {
      return await db.selectFrom('credentials').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
    },
    async remove(id: string): Promise<void> {
      await db.deleteFrom('credentials').where('id', '=', id).execute();
    },
  };
}

/** The SSH keys of hosts: one that is trusted, and one that was seen and is not. */
export function hostKeyStore(db: Kysely<Tables>) {
  const one = async (host: string, port: number): Promise<HostKeyRow | undefined> =>
    await db.selectFrom('host_keys').selectAll().where('host', '=', host).where('port', '=', port).executeTakeFirst();
  return {
    find: one,
    async list(): Promise<HostKeyRow[]> {
      return await db.selectFrom('host_keys').selectAll().orderBy('host').orderBy('port').execute();
    },
    /** Of two that meet a host for the first time at once, one writes its key down; the answer is what is written. */
    async trustFirst(host: string, port: number, key: { type: string; fingerprint: string }, nowMs: number): Promise<HostKeyRow> {
      const row = { host, port, trusted_type: key.type, trusted_fingerprint: key.fingerprint, trusted_by: 'first use', trusted_ms: nowMs, waiting_type: null, waiting_fingerprint: null, waiting_ms: null };
      await db.insertInto('host_keys').values(row).onConflict((on) => on.columns(['host', 'port']).doNothing()).execute();
      return (await one(host, port))!;
    },
    async putWaiting(host: string, port: number, key: { type: string; fingerprint: string }, nowMs: number): Promise<void> {
      const waiting = { waiting_type: key.type, waiting_fingerprint: key.fingerprint, waiting_ms: nowMs };
      const none = { trusted_type: null, trusted_fingerprint: null, trusted_by: null, trusted_ms: null };
      await db.insertInto('host_keys').values({ host, port, ...none, ...waiting }).onConflict((on) => on.columns(['host', 'port']).doUpdateSet(waiting)).execute();
    },
    /** Trusts the key that waits, if it is still this one; answers whether it was. */
    async admit(host: string, port: number, fingerprint: string, by: string, nowMs: number): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        const row = await tx.selectFrom('host_keys').selectAll().where('host', '=', host).where('port', '=', port).executeTakeFirst();
        if (row === undefined || row.waiting_fingerprint !== fingerprint) return false;
        const change = { trusted_type: row.waiting_type, trusted_fingerprint: fingerprint, trusted_by: by, trusted_ms: nowMs, waiting_type: null, waiting_fingerprint: null, waiting_ms: null };
        await tx.updateTable('host_keys').set(change).where('host', '=', host).where('port', '=', port).execute();
        return true;
      });
    },
    async forget(host: string): Promise<void> {
      await db.deleteFrom('host_keys').where('host', '=', host).execute();
    },
  };
}
