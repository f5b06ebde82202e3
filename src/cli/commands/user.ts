import type { User } from '../../contract/people.ts';
import { secretFrom } from '../asked-secret.ts';
import { isGiven, listOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showMoment } from '../format.ts';
import { showFields, showTable } from '../table.ts';
import { showTokens } from './token.ts';

const nameOf = ({ args }: Invocation) => ({ user: args[0]! });

function said(invocation: Invocation, user: User, what: string): ExitCode {
  invocation.answer(user, () => `user ${user.name} ${what}`);
  return exitCodes.done;
}

export async function addUser(invocation: Invocation): Promise<ExitCode> {
  const password = await secretFrom(invocation, 'newPasswordFile', 'new password');
  const user = await (await invocation.client()).call('user.add', { body: { name: invocation.args[0]!, roles: listOf(invocation, 'role'), password } });
  return said(invocation, user, `is added: ${user.roles.join(', ')}. The first sign-in changes the password.`);
}

export async function listUsers(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('user.list');
  const { timeZone } = invocation.surroundings;
  invocation.answer(answer, () =>
    answer.users.length === 0
      ? 'there is no user besides the admin token; add one with "tidemark user add"'
      : showTable<User>(
          [
            { title: 'USER', cell: ({ name }) => name },
            { title: 'FROM', cell: ({ source }) => source },
            { title: 'ROLES', cell: ({ roles }) => roles.join(', ') || 'none' },
            { title: 'LAST SIGN-IN', cell: ({ lastSignInAtMs }) => (lastSignInAtMs === null ? 'never' : showMoment(lastSignInAtMs, timeZone)) },
            { title: 'STATE', cell: stateOf },
          ],
          answer.users,
        ),
  );
  return exitCodes.done;
}

function stateOf(user: User): string {
  const states = [
    ...(user.isDisabled ? ['disabled'] : []),
    ...(user.lockedUntilMs === null ? [] : ['locked']),
    ...(user.mustChangePassword ? ['has to change the password'] : []),
    ...(user.hasSecondFactor ? ['second factor'] : []),
    ...(user.says === null ? [] : [user.says]),
  ];
  return states.join('; ');
}

export async function showUser(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const user = await client.call('user.show', { params: nameOf(invocation) });
  const { tokens } = await client.call('user.tokens', { params: nameOf(invocation) });
  const { timeZone } = invocation.surroundings;
  const at = (ms: number | null): string => (ms === null ? 'never' : showMoment(ms, timeZone));
  invocation.answer({ user, tokens }, () => {
    const checked: [string, string][] = user.source === 'directory' ? [['checked', at(user.checkedAtMs)]] : [];
    const fields = showFields([['user', user.name], ['from', user.source], ['roles', user.roles.join(', ') || 'none'], ['state', stateOf(user) || 'active'], ['added', at(user.addedAtMs)], ['last sign-in', at(user.lastSignInAtMs)], ...checked]);
    return tokens.length === 0 ? fields : `${fields}\n\n${showTokens(tokens, timeZone)}`;
  });
  return exitCodes.done;
}

export async function editUser(invocation: Invocation): Promise<ExitCode> {
  const user = await (await invocation.client()).call('user.edit', { params: nameOf(invocation), body: { roles: listOf(invocation, 'role') } });
  return said(invocation, user, `has the roles ${user.roles.join(', ')}`);
}

export async function disableUser(invocation: Invocation): Promise<ExitCode> {
  return said(invocation, await (await invocation.client()).call('user.edit', { params: nameOf(invocation), body: { isDisabled: true } }), 'is disabled');
}

export async function enableUser(invocation: Invocation): Promise<ExitCode> {
  return said(invocation, await (await invocation.client()).call('user.edit', { params: nameOf(invocation), body: { isDisabled: false } }), 'is enabled');
}

export async function changePassword(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const [user] = invocation.args;
  if (user === undefined) {
    const body = { password: await secretFrom(invocation, 'passwordFile', 'password'), newPassword: await secretFrom(invocation, 'newPasswordFile', 'new password') };
    const answer = await client.call('self.password', { body });
    invocation.answer(answer, () => 'the password is changed, and every other sign-in of yours has ended');
    return exitCodes.done;
  }
  const changed = await client.call('user.password', { params: { user }, body: { password: await secretFrom(invocation, 'newPasswordFile', 'new password') } });
  return said(invocation, changed, 'has a new password, which the next sign-in has to change');
}

export async function unlockUser(invocation: Invocation): Promise<ExitCode> {
  return said(invocation, await (await invocation.client()).call('user.unlock', { params: nameOf(invocation) }), 'is not locked');
}

export async function revokeOfUser(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('user.revoke', { params: { ...nameOf(invocation), token: invocation.args[1]! } });
  invocation.answer(answer, () => `token ${answer.revoked} is revoked`);
  return exitCodes.done;
}

export async function removeUser(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('user.remove', { params: nameOf(invocation), query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } });
  invocation.answer(answer, () => (answer.applied ? `user ${answer.user} is removed` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}
