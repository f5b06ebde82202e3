import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type AuditRecord = Selectable<Tables['audit']>;
export type AuditEntry = Omit<AuditRecord, 'number' | 'hash'>;

/** The newest row that is known to have been written. */
export type AuditHead = { readonly number: number; readonly hash: string };
export type HashOf = (row: Omit<AuditRecord, 'hash'>, before: string) => string;

/** What the first row follows. */
export const chainStart = '0'.repeat(64);
export const emptyHead: AuditHead = { number: 0, hash: chainStart };

export function auditStore(db: Kysely<Tables>, isShared: boolean) {
  return {
    /**
     * The next row of the chain; `hashOf` makes its hash from the one before. Rows are written one after the other.
     *
     * The row follows the head, not whatever row is the last one now: where rows behind the head were taken out, the numbers
     * go on after the gap and the hash chains on what is missing, so the gap stays to be found. One row ahead of the head that
     * chains is one whose head was not written any more; where servers share the catalog, each is behind what the others wrote.
     */
    async append(entry: AuditEntry, head: AuditHead, hashOf: HashOf): Promise<AuditHead> {
      return await db.transaction().execute(async (tx) => {
        let before: AuditHead = head;
        let last = head.number;
        const ahead = await tx.selectFrom('audit').selectAll().where('number', '>', head.number).orderBy('number').execute();
        for (const row of ahead) {
          if ((isShared || ahead.length === 1) && row.number === before.number + 1 && hashOf(row, before.hash) === row.hash) before = row;
          last = row.number;
        }
        const unsigned = { ...entry, number: last + 1 };
        const row = { ...unsigned, hash: hashOf(unsigned, before.hash) };
        await tx.insertInto('audit').values(row).execute();
        return { number: row.number, hash: row.hash };
      });
    },
    async list(filter: { who?: string; before?: number; limit: number }): Promise<AuditRecord[]> {
      let query = db.selectFrom('audit').selectAll();
      if (filter.who !== undefined) query = query.where('who', '=', filter.who);
      if (filter.before !== undefined) query = query.where('number', '<', filter.before);
      return await query.orderBy('number', 'desc').limit(filter.limit).execute();
    },
    /** In the order of their numbers. */
    async after(number: number, limit: number): Promise<AuditRecord[]> {
      return await db.selectFrom('audit').selectAll().where('number', '>', number).orderBy('number').limit(limit).execute();
    },
  };
}
