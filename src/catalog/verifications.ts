/** What is verified by itself: full verifications of sets by their policies, and the re-read of repositories. */
import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type VerificationRow = Selectable<Tables['verifications']>;
export type RereadRow = Selectable<Tables['rereads']>;

export function verificationStore(db: Kysely<Tables>) {
  return {
    async list(): Promise<VerificationRow[]> {
      return await db.selectFrom('verifications').selectAll().orderBy('policy').orderBy('set_id').execute();
    },
    async ofSet(setId: string): Promise<VerificationRow[]> {
      return await db.selectFrom('verifications').selectAll().where('set_id', '=', setId).execute();
    },
    /** What was found last stays when the schedule is another one. */
    async count({ policy, set_id, schedule, counts_from_ms }: Omit<VerificationRow, 'outcome'>): Promise<void> {
      await db.insertInto('verifications').values({ policy, set_id, schedule, counts_from_ms, outcome: null }).onConflict((on) => on.columns(['policy', 'set_id']).doUpdateSet({ schedule, counts_from_ms })).execute();
    },
    /** Nothing where the policy does not verify the set any more. */
    async found(policy: string, setId: string, outcome: string): Promise<void> {
      await db.updateTable('verifications').set({ outcome }).where('policy', '=', policy).where('set_id', '=', setId).execute();
    },
    async forget(policy: string, setId: string): Promise<void> {
      await db.deleteFrom('verifications').where('policy', '=', policy).where('set_id', '=', setId).execute();
    },
  };
}

export function rereadStore(db: Kysely<Tables>) {
  return {
    async list(): Promise<RereadRow[]> {
      return await db.selectFrom('rereads').selectAll().orderBy('repository').execute();
    },
    async find(repository: string): Promise<RereadRow | undefined> {
      return await db.selectFrom('rereads').selectAll().where('repository', '=', repository).executeTakeFirst();
    },
    async put(row: RereadRow): Promise<void> {
      const { days, at, counts_from_ms, parts } = row;
      await db.insertInto('rereads').values(row).onConflict((on) => on.column('repository').doUpdateSet({ days, at, counts_from_ms, parts })).execute();
    },
    async countFrom(repository: string, counts_from_ms: number): Promise<void> {
      await db.updateTable('rereads').set({ counts_from_ms }).where('repository', '=', repository).execute();
    },
    /** Changes the parts in one transaction: two servers, or an edit meanwhile, lose nothing of each other. */
    async changeParts(repository: string, change: (parts: string) => string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const row = await tx.selectFrom('rereads').selectAll().where('repository', '=', repository).executeTakeFirst();
        if (row !== undefined) await tx.updateTable('rereads').set({ parts: change(row.parts) }).where('repository', '=', repository).execute();
      });
    },
  };
}
