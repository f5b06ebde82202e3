import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type HostRow = Selectable<Tables['hosts']>;

/** What became of a token that a host showed. */
export type Redeemed = { readonly kind: 'enrolled'; readonly host: HostRow } | { readonly kind: 'refused'; readonly why: 'unknown' | 'used' | 'over' | 'other-part' };

export function hostStore(db: Kysely<Tables>) {
  const find = async (nameOrId: string): Promise<HostRow | undefined> =>
    await db.selectFrom('hosts').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
  return {
    find,
    async list(): Promise<HostRow[]> {
      return await db.selectFrom('hosts').selectAll().orderBy('name').execute();
    },
    async add(row: HostRow): Promise<void> {
      await db.insertInto('hosts').values(row).execute();
    },
    async update(id: string, change: Partial<Pick<HostRow, 'address' | 'control_port' | 'deployer_port' | 'data_from' | 'data_to' | 'single_port' | 'dials' | 'platform' | 'pushed_ms' | 'copies_at_once' | 'limits'>>): Promise<void> {
      await db.updateTable('hosts').set(change).where('id', '=', id).execute();
    },
    /** Of those that have a number of their own, by their ids. */
    async copiesAtOnce(): Promise<ReadonlyMap<string, number>> {
      const rows = await db.selectFrom('hosts').select(['id', 'copies_at_once']).where('copies_at_once', 'is not', null).$narrowType<{ copies_at_once: number }>().execute();
      return new Map(rows.map((row) => [row.id, row.copies_at_once]));
    },
    /** The host, its tokens and its certificates in one transaction: from here on it is refused. */
    async remove(id: string, nowMs: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.updateTable('certificates').set({ revoked_ms: nowMs }).where('name', '=', id).where('revoked_ms', 'is', null).execute();
        await tx.deleteFrom('host_alarms').where('host', '=', id).execute();
        await tx.deleteFrom('hosts').where('id', '=', id).execute();
      });
    },
    /** The certificates of one service of the host; a transport that is gone is expected again. */
    async removePart(id: string, part: string, nowMs: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.updateTable('certificates').set({ revoked_ms: nowMs }).where('name', '=', id).where('part', '=', part).where('revoked_ms', 'is', null).execute();
        await tx.updateTable('hosts').set(part === 'transport' ? { state: 'expected', enrolled_ms: null } : { deployer_ms: null }).where('id', '=', id).execute();
      });
    },
    /** A new token takes the place of those for the same service that were not used; without a part, of all of them. */
    async expect(host: string, part: string | null, tokenHash: string, expiresMs: number): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const unused = tx.deleteFrom('enrolments').where('host', '=', host).where('used_ms', 'is', null);
        await (part === null ? unused : unused.where((or) => or.or([or('part', 'is', null), or('part', '=', part)]))).execute();
        await tx.insertInto('enrolments').values({ token_hash: tokenHash, host, part, expires_ms: expiresMs, used_ms: null, key_hash: null }).execute();
      });
    },
    /** Of two that show one token at once, one is enrolled. Who shows it again with the same key did not hear the answer, and gets it again. */
    async redeem(tokenHash: string, part: 'transport' | 'deployer' | 'depot', keyHash: string, nowMs: number): Promise<Redeemed> {
      return await db.transaction().execute(async (tx) => {
        const token = await tx.selectFrom('enrolments').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst();
        if (token === undefined) return { kind: 'refused', why: 'unknown' };
        if (token.used_ms !== null && token.key_hash !== keyHash) return { kind: 'refused', why: 'used' };
        if (token.expires_ms <= nowMs) return { kind: 'refused', why: 'over' };
        if (token.part === null ? part === 'depot' : token.part !== part) return { kind: 'refused', why: 'other-part' };
        await tx.updateTable('enrolments').set({ used_ms: nowMs, key_hash: keyHash }).where('token_hash', '=', tokenHash).execute();
        const known = tx.updateTable('hosts').where('id', '=', token.host);
        if (part === 'transport') await known.set({ state: 'enrolled', enrolled_ms: nowMs }).execute();
        if (part === 'deployer') await known.set({ deployer_ms: nowMs }).execute();
        return { kind: 'enrolled', host: await tx.selectFrom('hosts').selectAll().where('id', '=', token.host).executeTakeFirstOrThrow() };
      });
    },
  };
}
