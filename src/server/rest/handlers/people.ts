import type { SignIn } from '../../people/reach.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type PeopleRoutes =
  | 'user.add' | 'user.list' | 'user.show' | 'user.edit' | 'user.password' | 'user.unlock' | 'user.second-factor-off' | 'user.remove' | 'user.tokens' | 'user.revoke'
  | 'role.list' | 'role.show' | 'role.add' | 'role.edit' | 'role.remove';

export function peopleHandlers(services: Services): Pick<Handlers, PeopleRoutes> {
  return { ...userHandlers(services), ...roleHandlers(services) };
}

function userHandlers({ users, tokens }: Services): Pick<Handlers, Extract<PeopleRoutes, `user.${string}`>> {
  return {
    'user.add': async ({ body }, signIn) => await users.add(body.name, body.roles, body.password, signIn),
    'user.list': async () => ({ users: await users.list() }),
    'user.show': async ({ params }) => await users.view(await users.find(params.user)),
    'user.edit': async ({ params, body }, signIn) => await users.edit(await users.find(params.user), body, signIn),
    'user.password': async ({ params, body }, signIn) => await users.setPassword(await users.find(params.user), body.password, signIn),
    'user.unlock': async ({ params }) => await users.unlock(await users.find(params.user)),
    'user.second-factor-off': async ({ params }, signIn) => {
      const user = await users.find(params.user);
      await users.requireMayChange(signIn, user);
      await users.secondFactorOff(user);
      return await users.view(await users.find(user.id));
    },
    'user.remove': async ({ params, query }, signIn) => {
      const user = await users.find(params.user);
      return { applied: query.apply, user: user.name, plan: await users.remove(user, signIn, query.apply) };
    },
    'user.tokens': async ({ params }) => ({ tokens: await tokens.list(await users.find(params.user)) }),
    'user.revoke': async ({ params }, signIn) => {
      const user = await users.find(params.user);
      await users.requireMayChange(signIn, user);
      return { revoked: await tokens.revoke(user, params.token) };
    },
  };
}

function roleHandlers({ roles, users, catalog, directory }: Services): Pick<Handlers, Extract<PeopleRoutes, `role.${string}`>> {
  const using = async (role: string): Promise<string[]> => {
    const mapped = ((await directory.settings())?.roles ?? []).filter((one) => one.role === role).map(({ group }) => `the directory's group ${group}`);
    const tokens = await catalog.userTokens.withRole(role);
    return [...(await catalog.users.withRole(role)), ...mapped, ...(tokens === 0 ? [] : [`${tokens} API tokens`])];
  };
  return {
    'role.list': async () => ({ roles: await roles.list() }),
    'role.show': async ({ params }) => await roles.view(await roles.find(params.role)),
    'role.add': async ({ body: { name, ...given } }, signIn) => {
      await users.requireMayShape(signIn, name, given);
      return await roles.add(name, given);
    },
    'role.edit': async ({ params, body }, signIn) => {
      await users.requireMayShape(signIn, params.role, body);
      return await roles.edit(params.role, body);
    },
    'role.remove': async ({ params, query }) => {
      await roles.remove(params.role, await using(params.role), query.apply);
      return { applied: query.apply, role: params.role, plan: [`remove the role ${params.role}, which nobody has`] };
    },
  };
}

export function auditHandlers({ audit }: Services): Pick<Handlers, 'audit.list' | 'audit.verify'> {
  return {
    'audit.list': async ({ query }) => ({ rows: await audit.list(query) }),
    'audit.verify': async () => await audit.verify(),
  };
}

export function directoryHandlers({ directory, users, roles }: Services): Pick<Handlers, 'directory.show' | 'directory.set' | 'directory.test' | 'directory.remove' | 'directory.computers'> {
  const requireMayTake = async (signIn: SignIn): Promise<void> => await users.requireMayTake(signIn, ((await directory.settings())?.roles ?? []).map(({ role }) => role));
  return {
    'directory.show': async () => ({ directory: (await directory.settings()) ?? null }),
    'directory.set': async ({ body: { bindPassword, ...settings } }, signIn) => {
      for (const { role } of settings.roles) await roles.find(role);
      await requireMayTake(signIn);
      await users.requireMayGive(signIn, settings.roles.map(({ role }) => role));
      await directory.set(settings, bindPassword);
      return settings;
    },
    'directory.test': async () => await directory.test(),
    'directory.remove': async ({ query }, signIn) => {
      await requireMayTake(signIn);
      const settings = await directory.settings();
      const theirs = (await users.list()).filter(({ source }) => source === 'directory').length;
      const plan = [`forget how the directory ${settings?.realm ?? ''} is reached, with the password of its account`, `end the sign-ins and tokens of its ${theirs} users`];
      await directory.remove(query.apply);
      return { applied: query.apply, plan };
    },
    'directory.computers': async ({ query }) => await directory.computers(query.base),
  };
}

