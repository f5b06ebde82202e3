import type { CredentialRecord, Elevation, HostCredential } from '../../contract/credentials.ts';
import type { Credential } from '../../contract/routes/credentials.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showMoment } from '../format.ts';
import { numberOf, usageOf } from '../numbers.ts';
import { readFileOf } from '../secret-file.ts';
import { showTable } from '../table.ts';

export async function addCredential(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const records = { host: hostRecord, windows: windowsRecord, database: databaseRecord };
  const record = await records[(textOf(invocation, 'for') ?? 'host') as keyof typeof records](invocation);
  const credential = await (await invocation.client()).call('credential.add', { body: { name, record } });
  invocation.answer(credential, () => `credential ${credential.name} is kept: ${describe(credential)}`);
  return exitCodes.done;
}

export async function listCredentials(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('credential.list');
  invocation.answer(answer, () =>
    answer.credentials.length === 0
      ? 'no credential is kept; add one with "tidemark credential add"'
      : showTable<Credential>(
          [
            { title: 'CREDENTIAL', cell: (row) => row.name },
            { title: 'FOR', cell: (row) => row.kind },
            { title: 'SIGNS IN', cell: describe },
            { title: 'ADDED', cell: (row) => showMoment(row.addedAtMs, invocation.surroundings.timeZone) },
          ],
          answer.credentials,
        ),
  );
  return exitCodes.done;
}

export async function removeCredential(invocation: Invocation): Promise<ExitCode> {
  const asked = { params: { credential: invocation.args[0]! }, query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } } as const;
  const answer = await (await invocation.client()).call('credential.remove', asked);
  invocation.answer(answer, () => (answer.applied ? `credential ${answer.credential} is forgotten` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}

function describe({ user, signIn, port, elevation }: Credential): string {
  const who = user === null ? signIn : `${user} with ${signIn === 'scram' ? 'a password' : `a ${signIn}`}`;
  return `${who}${port === null || port === 22 ? '' : `, port ${port}`}${elevation === null || elevation === 'none' ? '' : `, root by ${elevation}`}`;
}

async function secretOf(invocation: Invocation, option: string, what: string): Promise<string | undefined> {
  const file = textOf(invocation, option);
  return file === undefined ? undefined : await readFileOf(what, file);
}

async function hostRecord(invocation: Invocation): Promise<CredentialRecord> {
  const user = textOf(invocation, 'user');
  if (user === undefined) throw usageOf(invocation, 'name the user with --user');
  const privateKey = textOf(invocation, 'keyFile') === undefined ? undefined : `${await readFileOf('key file', textOf(invocation, 'keyFile')!)}\n`;
  const password = await secretOf(invocation, 'passwordFile', 'password file');
  const passphrase = await secretOf(invocation, 'passphraseFile', 'passphrase file');
  if (privateKey === undefined && password === undefined) throw usageOf(invocation, 'give --password-file or --key-file');
  const sudoPassword = (await secretOf(invocation, 'sudoPasswordFile', 'sudo password file')) ?? (privateKey === undefined ? undefined : password);
  const rootPassword = await secretOf(invocation, 'rootPasswordFile', 'root password file');
  const signIn: HostCredential['signIn'] = privateKey === undefined ? { kind: 'password', password: password! } : { kind: 'key', privateKey, passphrase };
  const wantsSudo = isGiven(invocation, 'sudo') || textOf(invocation, 'sudoPasswordFile') !== undefined;
  return { kind: 'host', host: { user, port: numberOf(invocation, 'port', { from: 1, to: 65_535 }) ?? 22, signIn, elevation: elevationOf(wantsSudo, sudoPassword, rootPassword) } };
}

async function windowsRecord(invocation: Invocation): Promise<CredentialRecord> {
  const [user, password] = [textOf(invocation, 'user'), await secretOf(invocation, 'passwordFile', 'password file')];
  if (user === undefined || password === undefined) throw usageOf(invocation, 'give --user with --password-file');
  return { kind: 'windows', windows: { user, password } };
}

function elevationOf(wantsSudo: boolean, password: string | undefined, rootPassword: string | undefined): Elevation {
  if (wantsSudo) return { kind: 'sudo', password, rootPassword };
  return rootPassword === undefined ? { kind: 'none' } : { kind: 'su', rootPassword };
}

async function databaseRecord(invocation: Invocation): Promise<CredentialRecord> {
  const caPem = await secretOf(invocation, 'tlsCa', 'certificate authority');
  const pem = await secretOf(invocation, 'x509', 'certificate');
  const tls = caPem === undefined && pem === undefined ? undefined : { caPem, certificatePem: pem, keyPem: pem };
  if (pem !== undefined) return { kind: 'database', credential: { kind: 'x509' }, tls };
  const [user, password] = [textOf(invocation, 'user'), await secretOf(invocation, 'passwordFile', 'password file')];
  if (user === undefined || password === undefined) throw usageOf(invocation, 'give --user with --password-file, or --x509');
  return { kind: 'database', credential: { kind: 'scram', user, password, authSource: textOf(invocation, 'authSource') ?? 'admin' }, tls };
}
