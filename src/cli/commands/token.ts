import type { Token } from '../../contract/people.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showMoment } from '../format.ts';
import { durationOf } from '../numbers.ts';
import { writePrivate } from '../sign-in-file.ts';
import { showTable } from '../table.ts';

export async function addToken(invocation: Invocation): Promise<ExitCode> {
  const out = textOf(invocation, 'out')!;
  const expiresSeconds = durationOf(invocation, 'expires');
  const { secret, token } = await (await invocation.client()).call('token.add', { body: { name: invocation.args[0]!, role: textOf(invocation, 'role'), ...(expiresSeconds !== undefined && { expiresSeconds }) } });
  await writePrivate(out, `${secret}\n`);
  invocation.answer({ token, file: out }, () => `token ${token.name} is in ${out}, good until ${showMoment(token.expiresAtMs, invocation.surroundings.timeZone)}; it is not shown again`);
  return exitCodes.done;
}

export async function listTokens(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('token.list');
  invocation.answer(answer, () => (answer.tokens.length === 0 ? 'there is none' : showTokens(answer.tokens, invocation.surroundings.timeZone)));
  return exitCodes.done;
}

export function showTokens(tokens: readonly Token[], timeZone: string): string {
  return showTable<Token>(
    [
      { title: 'TOKEN', cell: ({ name, id }) => name ?? id },
      { title: 'KIND', cell: ({ kind }) => (kind === 'api' ? 'API' : 'sign-in') },
      { title: 'ROLE', cell: ({ role }) => role ?? 'the user\'s' },
      { title: 'MADE FROM', cell: ({ from }) => from },
      { title: 'LAST USED', cell: ({ usedAtMs }) => (usedAtMs === null ? 'never' : showMoment(usedAtMs, timeZone)) },
      { title: 'EXPIRES', cell: ({ expiresAtMs }) => showMoment(expiresAtMs, timeZone) },
    ],
    tokens,
  );
}

export async function revokeToken(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('token.revoke', { params: { token: invocation.args[0]! } });
  invocation.answer(answer, () => `token ${answer.revoked} is revoked`);
  return exitCodes.done;
}
