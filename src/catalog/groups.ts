/**
 * Protection groups. A set is in one group: its replica set id is the key, so of two that add it at once one is refused.
 * What a look at a set changes, its row and the computers that come and go with it, is written in one transaction.
 */
import type { Kysely, Selectable, Transaction } from 'kysely';
import { renameInRules } from './news.ts';
import type { Tables } from './tables.ts';

export type GroupRow = Selectable<Tables['protection_groups']>;
export type GroupSetRow = Selectable<Tables['group_sets']>;
export type GroupComputerRow = Selectable<Tables['group_computers']>;

/** Which computers the members of a group's sets name, in full: those that are not known are added, others taken away. */
export type NamedComputers = { of(sets: readonly GroupSetRow[]): readonly string[]; fresh(name: string): GroupComputerRow };

export function groupStore(db: Kysely<Tables>) {
  return { ...groupRecords(db), ...groupParts(db) };
}

function groupRecords(db: Kysely<Tables>) {
  const find = async (nameOrId: string): Promise<GroupRow | undefined> =>
    await db.selectFrom('protection_groups').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
  return {
    find,
    async list(): Promise<GroupRow[]> {
      return await db.selectFrom('protection_groups').selectAll().orderBy('name').execute();
    },
    /** All of it or nothing. Answers the set that is in a group already. */
    async add(row: GroupRow, sets: readonly GroupSetRow[], computers: NamedComputers): Promise<GroupSetRow | undefined> {
      return await db.transaction().execute(async (tx) => {
        for (const { set_id } of sets) {
          const taken = await tx.selectFrom('group_sets').selectAll().where('set_id', '=', set_id).executeTakeFirst();
          if (taken !== undefined) return taken;
        }
        await tx.insertInto('protection_groups').values(row).execute();
        for (const set of sets) await tx.insertInto('group_sets').values(set).execute();
        await nameComputers(tx, row.id, computers);
        return undefined;
      });
    },
    async update(id: string, change: Partial<Pick<GroupRow, 'name' | 'options' | 'is_enabled' | 'counts_from_ms'>>): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const was = change.name === undefined ? undefined : await tx.selectFrom('protection_groups').select('name').where('id', '=', id).executeTakeFirst();
        await tx.updateTable('protection_groups').set(change).where('id', '=', id).execute();
        if (was !== undefined && change.name !== undefined && change.name !== was.name) await renameInRules(tx, 'group', was.name, change.name);
      });
    },
    async remove(id: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('group_computers').where('group_id', '=', id).execute();
        await tx.deleteFrom('group_sets').where('group_id', '=', id).execute();
        await tx.deleteFrom('protection_groups').where('id', '=', id).execute();
      });
    },
  };
}

function groupParts(db: Kysely<Tables>) {
  return {
    async sets(group: string): Promise<GroupSetRow[]> {
      return await db.selectFrom('group_sets').selectAll().where('group_id', '=', group).orderBy('set_id').execute();
    },
    async set(setId: string): Promise<GroupSetRow | undefined> {
      return await db.selectFrom('group_sets').selectAll().where('set_id', '=', setId).executeTakeFirst();
    },
    async allSets(): Promise<GroupSetRow[]> {
      return await db.selectFrom('group_sets').selectAll().orderBy('set_id').execute();
    },
    async memberships(): Promise<Pick<GroupSetRow, 'group_id' | 'set_id'>[]> {
      return await db.selectFrom('group_sets').select(['group_id', 'set_id']).execute();
    },
    /** A set that the group has is reached in the new way from then on. Answers the row of the set when it is in another group. */
    async addSet(row: GroupSetRow, computers: NamedComputers): Promise<GroupSetRow | undefined> {
      return await db.transaction().execute(async (tx) => {
        const taken = await tx.selectFrom('group_sets').selectAll().where('set_id', '=', row.set_id).executeTakeFirst();
        if (taken !== undefined && taken.group_id !== row.group_id) return taken;
        const { seed_host, seed_port, credential, look, looked_ms, says } = row;
        await tx.insertInto('group_sets').values(row).onConflict((on) => on.column('set_id').doUpdateSet({ seed_host, seed_port, credential, look, looked_ms, says })).execute();
        await nameComputers(tx, row.group_id, computers);
        return undefined;
      });
    },
    /** Writes down a new look at a set, unless it was taken out of the group meanwhile. */
    async refreshSet(group: string, setId: string, change: Pick<GroupSetRow, 'look' | 'looked_ms' | 'says'>, computers: NamedComputers): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.updateTable('group_sets').set(change).where('set_id', '=', setId).where('group_id', '=', group).execute();
        await nameComputers(tx, group, computers);
      });
    },
    async updateSet(setId: string, change: Pick<GroupSetRow, 'says'>): Promise<void> {
      await db.updateTable('group_sets').set(change).where('set_id', '=', setId).execute();
    },
    async removeSet(row: GroupSetRow, computers: NamedComputers): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('group_sets').where('set_id', '=', row.set_id).execute();
        await nameComputers(tx, row.group_id, computers);
      });
    },
    async computers(group: string): Promise<GroupComputerRow[]> {
      return await db.selectFrom('group_computers').selectAll().where('group_id', '=', group).orderBy('name').execute();
    },
    async allComputers(): Promise<GroupComputerRow[]> {
      return await db.selectFrom('group_computers').selectAll().orderBy('name').execute();
    },
    async updateComputer(group: string, name: string, change: Partial<Omit<GroupComputerRow, 'group_id' | 'name'>>): Promise<void> {
      await db.updateTable('group_computers').set(change).where('group_id', '=', group).where('name', '=', name).execute();
    },
  };
}

async function nameComputers(tx: Transaction<Tables>, group: string, { of, fresh }: NamedComputers): Promise<void> {
  const names = of(await tx.selectFrom('group_sets').selectAll().where('group_id', '=', group).execute());
  const known = (await tx.selectFrom('group_computers').select('name').where('group_id', '=', group).execute()).map(({ name }) => name);
  for (const name of known) if (!names.includes(name)) await tx.deleteFrom('group_computers').where('group_id', '=', group).where('name', '=', name).execute();
  for (const name of names) if (!known.includes(name)) await tx.insertInto('group_computers').values(fresh(name)).execute();
}
