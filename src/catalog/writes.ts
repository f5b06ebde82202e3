/**
 * How often each table was written to: where the count is the same, so are the rows. A database that servers share counts itself; of one that is
 * this process's alone we count what goes through it. A table without a count has to be read.
 */
import { sql, type Kysely, type KyselyPlugin, type OperationNode } from 'kysely';
import type { Tables } from './tables.ts';

export type CountWrites = () => Promise<ReadonlyMap<string, number>>;

export function countOwnWrites(): { readonly plugin: KyselyPlugin; readonly count: CountWrites } {
  const counts = new Map<string, number>();
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      for (const name of written(node)) counts.set(name, (counts.get(name) ?? 0) + 1);
      return node;
    },
    transformResult: async ({ result }) => await Promise.resolve(result),
  };
  return { plugin, count: async () => await Promise.resolve(new Map(counts)) };
}

/** Its statistics are some seconds late, and zero after a crash: then a table is read once more. */
export function countedByPostgres(db: Kysely<Tables>): CountWrites {
  return async () => {
    const { rows } = await sql<{ name: string; writes: number }>`select relname as name, n_tup_ins + n_tup_upd + n_tup_del as writes from pg_stat_user_tables where current_setting('track_counts') = 'on'`.execute(db);
    return new Map(rows.map(({ name, writes }) => [name, Number(writes)]));
  };
}

type Named = { readonly table: { readonly identifier: { readonly name: string } } };

function written(node: OperationNode): string[] {
  const { kind, into, table, from } = node as OperationNode & { into?: Named; table?: Named; from?: { froms: readonly Named[] } };
  if (kind === 'InsertQueryNode' && into !== undefined) return [into.table.identifier.name];
  if (kind === 'UpdateQueryNode' && table !== undefined) return [table.table.identifier.name];
  if (kind === 'DeleteQueryNode' && from !== undefined) return from.froms.map((one) => one.table.identifier.name);
  return [];
}
