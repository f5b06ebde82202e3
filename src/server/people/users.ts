/** Users as administrators see and change them, and each user's own second factor and tokens. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { UserRow } from '../../catalog/people.ts';
import type { Clock } from '../../base/clock.ts';
import { sortableId } from '../../base/ids.ts';
import type { User } from '../../contract/people.ts';
import { attemptsAt, type NameAttempts } from './attempts.ts';
import * as f from './failures.ts';
import { weakness, type PasswordHashes } from './passwords.ts';
import { hasEverything, isEverything, type SignIn } from './reach.ts';
import type { RoleGiven, Roles } from './roles.ts';

export type Users = ReturnType<typeof openUsers>;

type Options = { catalog: Catalog; clock: Clock; hashes: PasswordHashes; attempts: NameAttempts; roles: Roles };

export function openUsers({ catalog, clock, hashes, attempts, roles }: Options) {
  async function find(nameOrId: string): Promise<UserRow> {
    const row = (await catalog.users.byName(nameOrId)) ?? (await catalog.users.find(nameOrId));
    if (row === undefined) throw f.userUnknown({ user: nameOrId });
    return row;
  }

  /** Whoever gives everything away has it. */
  async function requireMayGive(signIn: SignIn, names: readonly string[]): Promise<void> {
    const given = await Promise.all(names.map(roles.find));
    const whole = given.find(isEverything);
    if (whole !== undefined && !hasEverything(signIn)) throw f.userProtected({ what: `only an administrator gives out the role ${whole.role}` });
  }

  /** What somebody has through their groups in the directory goes with the mapping; nobody takes everything from others who has not got it. */
  async function requireMayTake(signIn: SignIn, names: readonly string[]): Promise<void> {
    const whole = (await roles.grants(names)).find(isEverything);
    if (whole !== undefined && !hasEverything(signIn)) throw f.userProtected({ what: `only an administrator changes a directory whose groups have the role ${whole.role}` });
  }

  async function requireMayChange(signIn: SignIn, user: UserRow): Promise<void> {
    if (user.id === signIn.userId) throw f.userProtected({ what: 'nobody changes their own account here' });
    const theirs = await roles.grants(JSON.parse(user.roles) as string[]);
    if (theirs.some(isEverything) && !hasEverything(signIn)) throw f.userProtected({ what: `only an administrator changes ${user.name}, who is one` });
  }

  async function keptPassword(name: string, password: string): Promise<string> {
    const why = weakness(password, name);
    if (why !== undefined) throw f.passwordWeak({ why });
    return await hashes.hash(password);
  }

  function requireLocal(user: UserRow): void {
    if (user.source !== 'local') throw f.userOfDirectory({ user: user.name });
  }

  async function view(row: UserRow): Promise<User> {
    return {
      id: row.id,
      name: row.name,
      source: row.source as User['source'],
      roles: JSON.parse(row.roles) as string[],
      isDisabled: row.is_disabled === 1,
      mustChangePassword: row.must_change === 1,
      hasSecondFactor: row.totp_on === 1,
      lockedUntilMs: (await attempts.lockedUntil(row.name)) ?? (row.directory_key === null ? null : await attempts.lockedUntil(attemptsAt(row.directory_key))),
      lastSignInAtMs: row.last_sign_in_ms,
      checkedAtMs: row.checked_ms,
      says: row.says,
      addedAtMs: row.added_ms,
    };
  }

  return {
    find,
    view,
    requireMayGive,
    requireMayTake,
    requireMayChange,
    requireLocal,
    /** A role that somebody has themselves is not theirs to shape; neither is one that is everything or becomes it. */
    async requireMayShape(signIn: SignIn, role: string, next: Pick<RoleGiven, 'permissions' | 'objects' | 'targets'>): Promise<void> {
      if (hasEverything(signIn)) return;
      if (signIn.layers.some((grants) => grants.some((grant) => grant.role === role))) throw f.userProtected({ what: `nobody changes a role that they have themselves, as they have ${role}` });
      if ((await roles.grants([role])).some(isEverything)) throw f.userProtected({ what: `only an administrator changes the role ${role}, which is everything` });
      if (isEverything({ ...next, permissions: new Set(next.permissions) })) throw f.userProtected({ what: 'only an administrator makes a role that is everything' });
    },
    list: async (): Promise<User[]> => await Promise.all((await catalog.users.list()).map(view)),

    /** The person who asks, as only a sign-in shows: neither a program nor the admin token. */
    async person(signIn: SignIn): Promise<UserRow> {
      if (signIn.kind !== 'sign-in' || signIn.userId === null) throw f.signInNeeded({});
      return await find(signIn.userId);
    },

    async add(name: string, given: readonly string[], password: string, signIn: SignIn): Promise<User> {
      await requireMayGive(signIn, given);
      const row: UserRow = {
        id: sortableId(clock), name, source: 'local', roles: JSON.stringify([...new Set(given)]), password: await keptPassword(name, password), must_change: 1,
        sealed_totp: null, totp_on: 0, totp_step: 0, is_disabled: 0, directory_key: null, says: null, checked_ms: null, added_ms: clock.now(), last_sign_in_ms: null,
      };
      if (!(await catalog.users.add(row))) throw f.userExists({ name });
      return await view(row);
    },

    async edit(user: UserRow, change: { roles?: readonly string[]; isDisabled?: boolean }, signIn: SignIn): Promise<User> {
      await requireMayChange(signIn, user);
      if (change.roles !== undefined) {
        requireLocal(user);
        await requireMayGive(signIn, change.roles);
      }
      await catalog.users.update(user.id, { ...(change.roles !== undefined && { roles: JSON.stringify([...new Set(change.roles)]) }), ...(change.isDisabled !== undefined && { is_disabled: change.isDisabled ? 1 : 0 }) });
      if (change.isDisabled === true) await catalog.userTokens.revokeAll(user.id);
      return await view(await find(user.id));
    },

    async setPassword(user: UserRow, password: string, signIn: SignIn): Promise<User> {
      await requireMayChange(signIn, user);
      requireLocal(user);
      await catalog.users.update(user.id, { password: await keptPassword(user.name, password), must_change: 1 });
      await catalog.userTokens.revokeAll(user.id, { kind: 'sign-in' });
      await attempts.forget(user.name);
      return await view(await find(user.id));
    },

    async unlock(user: UserRow): Promise<User> {
      await attempts.forget(user.name);
      if (user.directory_key !== null) await attempts.forget(attemptsAt(user.directory_key));
      return await view(user);
    },

    async secondFactorOff(user: UserRow): Promise<void> {
      await catalog.users.update(user.id, { sealed_totp: null, totp_on: 0 });
      await catalog.userTokens.revokeAll(user.id, { kind: 'sign-in' });
    },

    async remove(user: UserRow, signIn: SignIn, apply: boolean): Promise<string[]> {
      await requireMayChange(signIn, user);
      const tokens = await catalog.userTokens.list(user.id, clock.now());
      const api = tokens.filter(({ kind }) => kind === 'api');
      const plan = [`remove ${user.name} with ${tokens.length - api.length} sign-ins and ${api.length} API tokens${api.length === 0 ? '' : `: ${api.map(({ name }) => name).join(', ')}`}`, 'leave what they started as it is'];
      if (user.source === 'directory') plan.push('they are listed again at their next sign-in; "tidemark user disable" shuts them out');
      if (apply) await catalog.users.remove(user.id);
      return plan;
    },
  };
}
