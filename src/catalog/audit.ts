import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type AuditRecord = Selectable<Tables['audit']>;
export type AuditEntry = Omit<AuditRecord, 'number' | 'hash'>;

/** What the first row follows. */
export const chainStart = '0'.repeat(64);

export function auditStore(db: Kysely<Tables>) {
  return {
    /** The next row of the chain; `hashOf` makes its hash from the one before. Rows are written one after the other. */
    async append(entry: AuditEntry, hashOf: (row: Omit<AuditRecord, 'hash'>, before: string) => string): Promise<AuditRecord> {
      return await db.transaction().execute(async (tx) => {
        const last = await tx.selectFrom('audit').select(['number', 'hash']).orderBy('number', 'desc').limit(1).executeTakeFirst();
        const unsigned = { ...entry, number: (last?.number ?? 0) + 1 };
        const row = { ...unsigned, hash: hashOf(unsigned, last?.hash ?? chainStart) };
        await tx.insertInto('audit').values(row).execute();
        return row;
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
