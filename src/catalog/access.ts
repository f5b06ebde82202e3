import type { Kysely } from 'kysely';
import type { Tables } from './tables.ts';

export function settingStore(db: Kysely<Tables>) {
  return {
    /** Keeps the value unless there is one; answers the one that is there. */
    async putFirst(name: string, value: string): Promise<string> {
      await db.insertInto('settings').values({ name, value }).onConflict((on) => on.column('name').doNothing()).execute();
      return (await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirstOrThrow()).value;
    },
    async get(name: string): Promise<string | undefined> {
      return (await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst())?.value;
    },
    async put(name: string, value: string): Promise<void> {
      await db.insertInto('settings').values({ name, value }).onConflict((on) => on.column('name').doUpdateSet({ value })).execute();
    },
  };
}

/** The serials we handed out: a certificate that is not here, or was revoked, opens nothing. */
export function certificateStore(db: Kysely<Tables>) {
  return {
    async record(certificate: { serial: string; part: string; name: string; issuedMs: number; notAfterMs: number }): Promise<void> {
      const { serial, part, name, issuedMs, notAfterMs } = certificate;
      await db.insertInto('certificates').values({ serial, part, name, issued_ms: issuedMs, not_after_ms: notAfterMs, revoked_ms: null }).execute();
    },
    /** Every serial in force, for a check that cannot wait. */
    async inForce(nowMs: number): Promise<{ serial: string; part: string; name: string }[]> {
      return await db.selectFrom('certificates').select(['serial', 'part', 'name']).where('revoked_ms', 'is', null).where('not_after_ms', '>', nowMs).execute();
    },
    async revoke(name: string, nowMs: number): Promise<void> {
      await db.updateTable('certificates').set({ revoked_ms: nowMs }).where('name', '=', name).where('revoked_ms', 'is', null).execute();
    },
  };
}

export function tokenStore(db: Kysely<Tables>) {
  return {
    async byHash(hash: string): Promise<{ id: string; name: string; role: string } | undefined> {
      return await db.selectFrom('tokens').select(['id', 'name', 'role']).where('hash', '=', hash).executeTakeFirst();
    },
    /** One token for each name; a new one takes the place of the old. */
    async replace(token: { id: string; name: string; role: string; hash: string; createdMs: number }): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('tokens').where('name', '=', token.name).execute();
        await tx.insertInto('tokens').values({ id: token.id, name: token.name, role: token.role, hash: token.hash, created_ms: token.createdMs }).execute();
      });
    },
  };
}
