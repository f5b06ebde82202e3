import type { UserRow } from '../../../catalog/people.ts';
import { secondFactorExists, signInNeeded, signInRefused } from '../../people/failures.ts';
import { authenticatorUri, newSecret } from '../../people/one-time-codes.ts';
import type { SignIn } from '../../people/reach.ts';
import { totpPlace } from '../../people/sign-ins.ts';
import { viewToken } from '../../people/tokens.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type SignInRoutes = 'sign-in.start' | 'sign-in.end' | 'self.show' | 'self.password' | 'second-factor.begin' | 'second-factor.confirm' | 'second-factor.remove' | 'token.add' | 'token.list' | 'token.revoke';

export function signInHandlers(services: Services): Pick<Handlers, SignInRoutes> {
  return { ...ownSignIn(services), ...ownSecondFactor(services), ...ownTokens(services) };
}

function ownSignIn({ signIns, users, catalog }: Services): Pick<Handlers, 'sign-in.start' | 'sign-in.end' | 'self.show' | 'self.password'> {
  return {
    'sign-in.start': async ({ body }, _nobody, { knock, isAbout }) => await signIns.start(body, knock!, isAbout),
    'sign-in.end': async (_question, signIn) => {
      if (signIn.userId === null || signIn.tokenId === null) throw signInNeeded({});
      await catalog.userTokens.revoke(signIn.userId, signIn.tokenId);
      return { ended: true };
    },
    'self.show': async (_question, signIn) => {
      const [first = [], ...others] = signIn.layers;
      const permissions = [...new Set(first.flatMap((grant) => [...grant.permissions]))].filter((permission) => others.every((grants) => grants.some((grant) => grant.permissions.has(permission))));
      return await Promise.resolve({ who: signIn.who, kind: signIn.kind, roles: signIn.layers.flat().map(({ role }) => role), permissions: permissions.sort(), expiresAtMs: signIn.expiresAtMs });
    },
    'self.password': async ({ body }, signIn) => {
      const user = await users.person(signIn);
      users.requireLocal(user);
      await signIns.changeOwn(user, signIn.tokenId!, body.password, body.newPassword);
      return { changed: true };
    },
  };
}

function ownSecondFactor({ signIns, users, catalog, sealer }: Services): Pick<Handlers, 'second-factor.begin' | 'second-factor.confirm' | 'second-factor.remove'> {
  const local = async (signIn: SignIn): Promise<UserRow> => {
    const user = await users.person(signIn);
    users.requireLocal(user);
    return user;
  };
  return {
    'second-factor.begin': async ({ body }, signIn) => {
      const user = await local(signIn);
      await signIns.confirm(user, body.password);
      if (user.totp_on === 1) throw secondFactorExists({});
      const secret = newSecret();
      await catalog.users.update(user.id, { sealed_totp: sealer.seal(secret, totpPlace(user.id)), totp_step: 0 });
      return { secret, uri: authenticatorUri(secret, user.name) };
    },
    'second-factor.confirm': async ({ body }, signIn) => {
      const user = await local(signIn);
      if (user.sealed_totp === null || user.totp_on === 1) throw signInRefused({});
      await signIns.confirmCode(user, body.code);
      await catalog.users.update(user.id, { totp_on: 1 });
      await catalog.userTokens.revokeAll(user.id, { kind: 'sign-in', but: signIn.tokenId! });
      return { isOn: true };
    },
    'second-factor.remove': async ({ body }, signIn) => {
      const user = await local(signIn);
      if (user.totp_on === 0) throw signInRefused({});
      await signIns.confirmBoth(user, body.password, body.code);
      await catalog.users.update(user.id, { sealed_totp: null, totp_on: 0 });
      return { isOn: false };
    },
  };
}

function ownTokens({ tokens, users, roles }: Services): Pick<Handlers, 'token.add' | 'token.list' | 'token.revoke'> {
  return {
    'token.add': async ({ body }, signIn, { from }) => {
      const user = await users.person(signIn);
      if (body.role !== undefined) await roles.find(body.role);
      const { secret, row } = await tokens.api(user, { name: body.name, role: body.role ?? null, seconds: body.expiresSeconds, from });
      return { secret, token: viewToken(row, user) };
    },
    'token.list': async (_question, { userId }) => ({ tokens: userId === null ? [] : await tokens.list(await users.find(userId)) }),
    'token.revoke': async ({ params }, signIn) => ({ revoked: await tokens.revoke(await users.person(signIn), params.token) }),
  };
}
