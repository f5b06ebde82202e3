import { secretFrom } from '../asked-secret.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usageOf } from '../numbers.ts';

export async function begin(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('second-factor.begin', { body: { password: await secretFrom(invocation, 'passwordFile', 'password') } });
  invocation.answer(answer, () => `secret for the authenticator: ${answer.secret}\n${answer.uri}\nTurn it on with "tidemark second-factor confirm CODE".`);
  return exitCodes.done;
}

export async function confirm(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('second-factor.confirm', { body: { code: invocation.args[0]! } });
  invocation.answer(answer, () => 'the second factor is on; every other sign-in of yours has ended');
  return exitCodes.done;
}

export async function off(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const [user] = invocation.args;
  if (user !== undefined) {
    const changed = await client.call('user.second-factor-off', { params: { user } });
    invocation.answer(changed, () => `user ${changed.name} has no second factor any more`);
    return exitCodes.done;
  }
  const code = textOf(invocation, 'code');
  if (code === undefined) throw usageOf(invocation, 'give a code of it with --code');
  const answer = await client.call('second-factor.remove', { body: { password: await secretFrom(invocation, 'passwordFile', 'password'), code } });
  invocation.answer(answer, () => 'the second factor is off');
  return exitCodes.done;
}
