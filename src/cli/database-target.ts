import type { MongoTarget } from '../contract/values.ts';
import { srvNameOf, takeUriApart } from '../contract/mongo-uri.ts';
import { isGiven, textOf, type Given, type Invocation } from './command.ts';
import { usageOf } from './numbers.ts';
import { lookUpSrv } from './srv-look-up.ts';
import { readFileOf } from './secret-file.ts';

type Words = Given & Pick<Invocation, 'command'>;

/** A connection string and the options beside it (definitions/options.ts: databaseSignIn) as one target. */
export async function readTarget(uri: string, given: Words): Promise<MongoTarget> {
  const name = srvNameOf(uri);
  const { target, caFile, certificateKeyFile } = takeUriApart(uri, name === undefined ? undefined : await lookUpSrv(name));
  const ca = textOf(given, 'tlsCa') ?? caFile;
  const certificate = textOf(given, 'x509') ?? textOf(given, 'tlsCertificate') ?? certificateKeyFile;
  const wantsTls = isGiven(given, 'tls') || ca !== undefined || certificate !== undefined || target.tls !== undefined;
  const pem = certificate === undefined ? undefined : await readFileOf('certificate', certificate);
  return {
    ...target,
    credential: await credentialOf(target, given),
    tls: wantsTls ? { ...target.tls, caPem: ca === undefined ? undefined : await readFileOf('certificate authority', ca), certificatePem: pem, keyPem: pem } : undefined,
  };
}

/** A password comes from a file and from nowhere else: what stands on a command line can be seen by every user of the machine. */
async function credentialOf(target: MongoTarget, given: Words): Promise<MongoTarget['credential']> {
  if (textOf(given, 'x509') !== undefined) return { kind: 'x509' };
  const before = target.credential;
  if (before.kind === 'scram' && before.password !== '') throw usageOf(given, 'the connection string holds a password, which every user of this machine can see; put it into a file and name that with --password-file');
  const user = textOf(given, 'user') ?? (before.kind === 'scram' ? before.user : undefined);
  const file = textOf(given, 'passwordFile');
  if (user === undefined && file !== undefined) throw usageOf(given, '--password-file needs --user');
  if (user === undefined) return before;
  if (file === undefined) throw usageOf(given, `the user ${user} needs --password-file`);
  return { kind: 'scram', user, password: await readFileOf('password file', file), authSource: textOf(given, 'authSource') ?? (before.kind === 'scram' ? before.authSource : 'admin') };
}
