/** Users, their tokens, the wrong passwords of a name, roles made here, and the directory. */
import type { Kysely, Selectable } from 'kysely';
import type { Tables } from './tables.ts';

export type UserRow = Selectable<Tables['users']>;
export type UserTokenRow = Selectable<Tables['user_tokens']>;
export type AttemptRow = Selectable<Tables['sign_in_failures']>;
export type RoleRow = Selectable<Tables['roles']>;
export type DirectoryRow = Selectable<Tables['directories']>;

export function userStore(db: Kysely<Tables>) {
  return {
    /** False when the name is taken. */
    async add(row: UserRow): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('users').values(row).onConflict((on) => on.doNothing()).executeTakeFirst();
      return (numInsertedOrUpdatedRows ?? 0n) > 0n;
    },
    async find(nameOrId: string): Promise<UserRow | undefined> {
      return await db.selectFrom('users').selectAll().where((or) => or.or([or('id', '=', nameOrId), or('name', '=', nameOrId)])).executeTakeFirst();
    },
    async byName(name: string): Promise<UserRow | undefined> {
      return await db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();
    },
    async byDirectoryKey(key: string): Promise<UserRow | undefined> {
      return await db.selectFrom('users').selectAll().where('directory_key', '=', key).executeTakeFirst();
    },
    async list(): Promise<UserRow[]> {
      return await db.selectFrom('users').selectAll().orderBy('name').execute();
    },
    async update(id: string, change: Partial<Omit<UserRow, 'id' | 'source'>>): Promise<void> {
      await db.updateTable('users').set(change).where('id', '=', id).execute();
    },
    /** Takes a password's place only if it is still there: of two changes at once, one is made. */
    async replacePassword(id: string, before: string | null, password: string, mustChange: boolean): Promise<boolean> {
      const change = db.updateTable('users').set({ password, must_change: mustChange ? 1 : 0 }).where('id', '=', id);
      const { numUpdatedRows } = await (before === null ? change.where('password', 'is', null) : change.where('password', '=', before)).executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    /** True for the one who uses up the code of a step first. */
    async useStep(id: string, step: number): Promise<boolean> {
      const { numUpdatedRows } = await db.updateTable('users').set({ totp_step: step }).where('id', '=', id).where('totp_step', '<', step).executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async remove(id: string): Promise<void> {
      await db.deleteFrom('users').where('id', '=', id).execute();
    },
    /** Directory users with a token that is not over. */
    async ofDirectoryWithTokens(nowMs: number): Promise<UserRow[]> {
      const live = db.selectFrom('user_tokens').select('user_id').where('expires_ms', '>', nowMs);
      return await db.selectFrom('users').selectAll().where('source', '=', 'directory').where('id', 'in', live).orderBy('id').execute();
    },
    /** Names of users who have a role. */
    async withRole(role: string): Promise<string[]> {
      const rows = await db.selectFrom('users').select(['name', 'roles']).execute();
      return rows.filter(({ roles }) => (JSON.parse(roles) as string[]).includes(role)).map(({ name }) => name);
    },
  };
}

export function userTokenStore(db: Kysely<Tables>) {
  return {
    /** False when the user has one of that name. */
    async add(row: UserTokenRow): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('user_tokens').values(row).onConflict((on) => on.columns(['user_id', 'name']).doNothing()).executeTakeFirst();
      return (numInsertedOrUpdatedRows ?? 0n) > 0n;
    },
    async byHash(hash: string): Promise<{ token: UserTokenRow; user: UserRow } | undefined> {
      const token = await db.selectFrom('user_tokens').selectAll().where('hash', '=', hash).executeTakeFirst();
      const user = token === undefined ? undefined : await db.selectFrom('users').selectAll().where('id', '=', token.user_id).executeTakeFirst();
      return token === undefined || user === undefined ? undefined : { token, user };
    },
    async list(userId: string, nowMs: number): Promise<UserTokenRow[]> {
      return await db.selectFrom('user_tokens').selectAll().where('user_id', '=', userId).where('expires_ms', '>', nowMs).orderBy('id').execute();
    },
    async used(id: string, nowMs: number): Promise<void> {
      await db.updateTable('user_tokens').set({ used_ms: nowMs }).where('id', '=', id).execute();
    },
    /** Answers what was revoked. */
    async revoke(userId: string, idOrName: string): Promise<UserTokenRow | undefined> {
      return await db.deleteFrom('user_tokens').where('user_id', '=', userId).where((or) => or.or([or('id', '=', idOrName), or('name', '=', idOrName)])).returningAll().executeTakeFirst();
    },
    /** `kind` narrows it; `but` stays. Answers how many there were. */
    async revokeAll(userId: string, narrowed: { kind?: string; but?: string } = {}): Promise<number> {
      let query = db.deleteFrom('user_tokens').where('user_id', '=', userId);
      if (narrowed.kind !== undefined) query = query.where('kind', '=', narrowed.kind);
      if (narrowed.but !== undefined) query = query.where('id', '!=', narrowed.but);
      return Number((await query.executeTakeFirst()).numDeletedRows);
    },
    async forgetExpired(nowMs: number): Promise<void> {
      await db.deleteFrom('user_tokens').where('expires_ms', '<=', nowMs).execute();
    },
    async withRole(role: string): Promise<number> {
      return (await db.selectFrom('user_tokens').select('id').where('role', '=', role).execute()).length;
    },
  };
}

export type AttemptLimits = { readonly allowed: number; readonly windowMs: number; readonly lockMs: number };

export function attemptStore(db: Kysely<Tables>) {
  const find = async (name: string): Promise<AttemptRow | undefined> => await db.selectFrom('sign_in_failures').selectAll().where('name', '=', name).executeTakeFirst();
  return {
    find,
    /**
     * Counts an attempt before it is made, so that many at once are not more than one after the other. Answers until
     * when the name is locked; null: go on.
     */
    async begin(name: string, { allowed, windowMs, lockMs }: AttemptLimits, nowMs: number): Promise<number | null> {
      return await db.transaction().execute(async (tx) => {
        const known = await tx.selectFrom('sign_in_failures').selectAll().where('name', '=', name).executeTakeFirst();
        if (known?.locked_until_ms != null && known.locked_until_ms > nowMs) return known.locked_until_ms;
        const isFresh = known === undefined || known.locked_until_ms !== null || nowMs - known.since_ms > windowMs || nowMs < known.since_ms;
        const count = isFresh ? 1 : known.count + 1;
        const row = { count, since_ms: isFresh ? nowMs : known.since_ms, locked_until_ms: count > allowed ? nowMs + lockMs : null };
        await tx.insertInto('sign_in_failures').values({ name, ...row }).onConflict((on) => on.column('name').doUpdateSet(row)).execute();
        return row.locked_until_ms;
      });
    },
    /** An attempt that was nobody's fault. */
    async giveBack(name: string): Promise<void> {
      await db.updateTable('sign_in_failures').set((to) => ({ count: to('count', '-', 1) })).where('name', '=', name).where('count', '>', 0).execute();
    },
    async forget(name: string): Promise<void> {
      await db.deleteFrom('sign_in_failures').where('name', '=', name).execute();
    },
    async forgetBefore(ms: number): Promise<void> {
      await db.deleteFrom('sign_in_failures').where('since_ms', '<', ms).where((or) => or.or([or('locked_until_ms', 'is', null), or('locked_until_ms', '<', ms)])).execute();
    },
  };
}

export function roleStore(db: Kysely<Tables>) {
  return {
    async add(row: RoleRow): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('roles').values(row).onConflict((on) => on.column('name').doNothing()).executeTakeFirst();
      return (numInsertedOrUpdatedRows ?? 0n) > 0n;
    },
    async find(name: string): Promise<RoleRow | undefined> {
      return await db.selectFrom('roles').selectAll().where('name', '=', name).executeTakeFirst();
    },
    async list(): Promise<RoleRow[]> {
      return await db.selectFrom('roles').selectAll().orderBy('name').execute();
    },
    async update(name: string, change: Pick<RoleRow, 'permissions' | 'objects' | 'targets'>): Promise<void> {
      await db.updateTable('roles').set(change).where('name', '=', name).execute();
    },
    async remove(name: string): Promise<void> {
      await db.deleteFrom('roles').where('name', '=', name).execute();
    },
  };
}

const only = 'directory';

export function directoryStore(db: Kysely<Tables>) {
  return {
    async get(): Promise<DirectoryRow | undefined> {
      return await db.selectFrom('directories').selectAll().where('id', '=', only).executeTakeFirst();
    },
    async put(row: Omit<DirectoryRow, 'id'>): Promise<void> {
      await db.insertInto('directories').values({ id: only, ...row }).onConflict((on) => on.column('id').doUpdateSet(row)).execute();
    },
    async remove(): Promise<void> {
      await db.deleteFrom('directories').where('id', '=', only).execute();
    },
  };
}
