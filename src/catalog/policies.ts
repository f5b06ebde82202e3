/**
 * Policies, their runs and the parts of these. Every change names the state that it expects, so that of two servers on one
 * catalog one makes it; what belongs together is written in one transaction.
 */
import type { Kysely, Selectable, Transaction } from 'kysely';
import { renameInRules } from './news.ts';
import type { Tables } from './tables.ts';

export type PolicyRow = Selectable<Tables['policies']>;
export type RunRow = Selectable<Tables['policy_runs']>;
export type PartRow = Selectable<Tables['policy_parts']>;
export type OrphanRow = Selectable<Tables['orphans']>;

export type OpenedRun = { readonly run: RunRow; readonly parts: readonly PartRow[] };
/** From when a policy counts: what was read, and what it becomes. */
export type Counting = { readonly policy: string; readonly wasMs: number; readonly fromMs: number; readonly nextMs: number | null };

/** What the scheduler keeps: the catalog, or in a simulation the memory. */
export type PolicyBook = ReturnType<typeof policyBook>;

export function policyBook(db: Kysely<Tables>) {
  return {
    /** Those that are to run by now, and those whose clock was set back behind what they count from. */
    async due(nowMs: number): Promise<PolicyRow[]> {
      return await db.selectFrom('policies').selectAll().where('is_enabled', '=', 1).where((or) => or.or([or('next_ms', '<=', nowMs), or('counts_from_ms', '>', nowMs)])).orderBy('next_ms').orderBy('id').execute();
    },
    async nextMs(): Promise<number | null> {
      const first = await db.selectFrom('policies').select((row) => row.fn.min('next_ms').as('next')).where('is_enabled', '=', 1).executeTakeFirst();
      return first?.next ?? null;
    },
    async policy(id: string): Promise<PolicyRow | undefined> {
      return await db.selectFrom('policies').selectAll().where('id', '=', id).executeTakeFirst();
    },
    async followers(id: string): Promise<PolicyRow[]> {
      return await db.selectFrom('policies').selectAll().where('follows', '=', id).where('is_enabled', '=', 1).orderBy('id').execute();
    },
    /** False where somebody else has counted. */
    async count(counting: Counting): Promise<boolean> {
      return await countIn(db, counting);
    },
    async openRunOf(policy: string): Promise<RunRow | undefined> {
      return await db.selectFrom('policy_runs').selectAll().where('policy', '=', policy).where('state', '=', 'open').executeTakeFirst();
    },
    /** False where a run of the policy is open, or somebody else has counted. */
    async openRun(opened: OpenedRun, counting: Counting | null): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        if (counting !== null && !(await countIn(tx, counting))) return false;
        return await insertRun(tx, opened);
      });
    },
    async skip(run: string, moments: number, counting: Counting): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        if (!(await countIn(tx, counting))) return false;
        await tx.updateTable('policy_runs').set((row) => ({ skipped: row('skipped', '+', moments) })).where('id', '=', run).execute();
        return true;
      });
    },
    async openRuns(): Promise<OpenedRun[]> {
      const runs = await db.selectFrom('policy_runs').selectAll().where('state', '=', 'open').orderBy('id').execute();
      if (runs.length === 0) return [];
      const parts = await db.selectFrom('policy_parts').innerJoin('policy_runs', 'policy_runs.id', 'policy_parts.run').selectAll('policy_parts').where('policy_runs.state', '=', 'open').orderBy('policy_parts.set_name').execute();
      return together(runs, parts);
    },
    async changeRun(id: string, change: Partial<Pick<RunRow, 'opens_ms' | 'closes_ms' | 'added_ms' | 'stopping'>>): Promise<void> {
      await db.updateTable('policy_runs').set(change).where('id', '=', id).where('state', '=', 'open').execute();
    },
    /** False where the part is not any more what it was read as. */
    async movePart(was: PartRow, change: Partial<Pick<PartRow, 'state' | 'attempt' | 'not_before_ms' | 'session' | 'says'>>): Promise<boolean> {
      const { numUpdatedRows } = await db.updateTable('policy_parts').set(change).where('run', '=', was.run).where('set_id', '=', was.set_id).where('state', '=', was.state).where('attempt', '=', was.attempt).executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    /** The end of a run, from when its policy counts then, and the runs that follow it, or are skipped where one of their policy is open. False where it had ended. */
    async endRun(id: string, end: Pick<RunRow, 'state' | 'ended_ms' | 'says'>, counting: Counting | null, following: readonly OpenedRun[]): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        const { numUpdatedRows } = await tx.updateTable('policy_runs').set(end).where('id', '=', id).where('state', '=', 'open').executeTakeFirst();
        if (numUpdatedRows === 0n) return false;
        if (counting !== null) await countIn(tx, counting);
        for (const next of following) if (!(await insertRun(tx, next))) await skipIn(tx, next.run.policy);
        return true;
      });
    },
  };
}

function together(runs: readonly RunRow[], parts: readonly PartRow[]): OpenedRun[] {
  const of = Map.groupBy(parts, ({ run }) => run);
  return runs.map((run) => ({ run, parts: of.get(run.id) ?? [] }));
}

async function countIn(db: Kysely<Tables> | Transaction<Tables>, { policy, wasMs, fromMs, nextMs }: Counting): Promise<boolean> {
  const { numUpdatedRows } = await db.updateTable('policies').set({ counts_from_ms: fromMs, next_ms: nextMs }).where('id', '=', policy).where('counts_from_ms', '=', wasMs).executeTakeFirst();
  return numUpdatedRows > 0n;
}

async function insertRun(tx: Transaction<Tables>, { run, parts }: OpenedRun): Promise<boolean> {
  const open = await tx.selectFrom('policy_runs').select('id').where('policy', '=', run.policy).where('state', '=', 'open').executeTakeFirst();
  if (open !== undefined) return false;
  await tx.insertInto('policy_runs').values(run).execute();
  for (const part of parts) await tx.insertInto('policy_parts').values(part).execute();
  return true;
}

/** A moment that met an open run of its policy. */
async function skipIn(tx: Transaction<Tables>, policy: string): Promise<void> {
  await tx.updateTable('policy_runs').set((row) => ({ skipped: row('skipped', '+', 1) })).where('policy', '=', policy).where('state', '=', 'open').execute();
}

/** A set that leaves a policy twice under the same rule has that rule once. */
async function putOrphans(tx: Kysely<Tables>, orphans: readonly OrphanRow[]): Promise<void> {
  for (const row of orphans) await tx.insertInto('orphans').values(row).onConflict((on) => on.columns(['set_id', 'policy', 'retention', 'time_zone']).doUpdateSet({ policy_name: row.policy_name })).execute();
}

/** So that the policies of a set are found without reading the documents of all. */
async function putObjects(tx: Transaction<Tables>, policy: string, document: string): Promise<void> {
  const { groups = [], sets = [] } = JSON.parse(document) as { groups?: string[]; sets?: string[] };
  await tx.deleteFrom('policy_objects').where('policy', '=', policy).execute();
  for (const object of new Set([...groups, ...sets])) await tx.insertInto('policy_objects').values({ object, policy }).execute();
}

export function policyStore(db: Kysely<Tables>) {
  return {
    ...policyBook(db),
    async list(): Promise<PolicyRow[]> {
      return await db.selectFrom('policies').selectAll().orderBy('name').execute();
    },
    /** Those that have one of the groups or sets as an object. */
    async naming(ids: readonly string[]): Promise<PolicyRow[]> {
      const named = db.selectFrom('policy_objects').select('policy').where('object', 'in', ids);
      return await db.selectFrom('policies').selectAll().where('id', 'in', named).orderBy('name').execute();
    },
    async find(nameOrId: string): Promise<PolicyRow | undefined> {
      return await db.selectFrom('policies').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
    },
    async add(row: PolicyRow): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.insertInto('policies').values(row).execute();
        await putObjects(tx, row.id, row.document);
      });
    },
    /** `orphans`: of the sets that it has no more. */
    async update(id: string, change: Partial<Omit<PolicyRow, 'id' | 'added_ms'>>, orphans: readonly OrphanRow[] = []): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const was = change.name === undefined ? undefined : await tx.selectFrom('policies').select('name').where('id', '=', id).executeTakeFirst();
        await tx.updateTable('policies').set(change).where('id', '=', id).execute();
        if (was !== undefined && change.name !== undefined && change.name !== was.name) await renameInRules(tx, 'policy', was.name, change.name);
        if (change.document !== undefined) await putObjects(tx, id, change.document);
        await putOrphans(tx, orphans);
      });
    },
    /** Its runs stay, as history. */
    async remove(id: string, orphans: readonly OrphanRow[]): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('policies').where('id', '=', id).execute();
        await tx.deleteFrom('policy_objects').where('policy', '=', id).execute();
        await putOrphans(tx, orphans);
      });
    },
    async runs(policy: string, limit: number): Promise<RunRow[]> {
      return await db.selectFrom('policy_runs').selectAll().where('policy', '=', policy).orderBy('id', 'desc').limit(limit).execute();
    },
    /** The last run of each policy that had one. */
    async lastRuns(): Promise<OpenedRun[]> {
      const last = () => db.selectFrom('policies').select((of) => of.selectFrom('policy_runs').select('policy_runs.id').whereRef('policy_runs.policy', '=', 'policies.id').orderBy('policy_runs.id', 'desc').limit(1).as('run'));
      const runs = await db.selectFrom('policy_runs').selectAll().where('id', 'in', last()).execute();
      const parts = await db.selectFrom('policy_parts').selectAll().where('run', 'in', last()).orderBy('set_name').execute();
      return together(runs, parts);
    },
    async run(id: string): Promise<RunRow | undefined> {
      return await db.selectFrom('policy_runs').selectAll().where('id', '=', id).executeTakeFirst();
    },
    async parts(run: string): Promise<PartRow[]> {
      return await db.selectFrom('policy_parts').selectAll().where('run', '=', run).orderBy('set_name').execute();
    },
    async putOrphans(orphans: readonly OrphanRow[]): Promise<void> {
      if (orphans.length > 0) await db.transaction().execute(async (tx) => await putOrphans(tx, orphans));
    },
    async orphans(setId?: string): Promise<OrphanRow[]> {
      const all = db.selectFrom('orphans').selectAll();
      return await (setId === undefined ? all : all.where('set_id', '=', setId)).orderBy('set_id').orderBy('since_ms').orderBy('policy').execute();
    },
    async forgetOrphan(setId: string): Promise<void> {
      await db.deleteFrom('orphans').where('set_id', '=', setId).execute();
    },
  };
}
