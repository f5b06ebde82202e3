import { isFailure } from '../../base/failure.ts';
import type { RouteAnswer } from '../../contract/routes.ts';
import { secretFrom } from '../asked-secret.ts';
import type { Client } from '../client.ts';
import { textOf, type Invocation } from '../command.ts';
import { connectUnsigned } from '../connection.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showMoment } from '../format.ts';
import { readFileOf } from '../secret-file.ts';
import { forgetSignIn, keepSignIn, writePrivate } from '../sign-in-file.ts';
import { showFields } from '../table.ts';

type SignedIn = RouteAnswer<'sign-in.start'>;

export async function login(invocation: Invocation): Promise<ExitCode> {
  const { surroundings } = invocation;
  const { client, ca } = await connectUnsigned(invocation, surroundings);
  const signedIn = await signIn(invocation, client);
  const out = textOf(invocation, 'out');
  if (out === undefined) await keepSignIn(surroundings.signInFile, { server: client.server, user: signedIn.user, token: signedIn.token, ca, expiresAtMs: signedIn.expiresAtMs });
  else await writePrivate(out, `${signedIn.token}\n`);
  const { token: _token, ...shown } = signedIn;
  invocation.answer({ ...shown, server: client.server, file: out ?? surroundings.signInFile }, () => `signed in as ${signedIn.user} (${signedIn.roles.join(', ')}) until ${showMoment(signedIn.expiresAtMs, surroundings.timeZone)}`);
  return exitCodes.done;
}

async function signIn(invocation: Invocation, client: Client): Promise<SignedIn> {
  const user = invocation.args[0]!;
  const password = await secretFrom(invocation, 'passwordFile', 'password');
  const newFile = textOf(invocation, 'newPasswordFile');
  const asked = { user, password, code: textOf(invocation, 'code'), newPassword: newFile === undefined ? undefined : await readFileOf('new password', newFile) };
  try {
    return await client.call('sign-in.start', { body: asked });
  } catch (error) {
    // On a terminal what is missing is asked for.
    const code = isFailure(error) ? error.code : '';
    const more = code === 'server.sign-in-code-needed' ? 'code' : code === 'server.sign-in-password-old' ? 'newPassword' : undefined;
    const said = more === undefined ? undefined : await invocation.surroundings.askSecret(more === 'code' ? 'code: ' : 'new password: ');
    if (more === undefined || said === undefined) throw error;
    return await client.call('sign-in.start', { body: { ...asked, [more]: said } });
  }
}

export async function logout(invocation: Invocation): Promise<ExitCode> {
  await (await invocation.client()).call('sign-in.end');
  await forgetSignIn(invocation.surroundings.signInFile);
  invocation.answer({ ended: true }, () => 'signed out');
  return exitCodes.done;
}

export async function whoami(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const self = await client.call('self.show');
  invocation.answer({ ...self, server: client.server }, () =>
    showFields([
      ['who', self.kind === 'admin-token' ? `${self.who}, by the admin token` : `${self.who}${self.kind === 'api-token' ? ', by an API token' : ''}`],
      ['server', client.server],
      ['roles', self.roles.join(', ')],
      ['until', self.expiresAtMs === null ? 'it is revoked' : showMoment(self.expiresAtMs, invocation.surroundings.timeZone)],
      ['may', self.permissions.join('\n')],
    ]),
  );
  return exitCodes.done;
}
