import type { MongoTarget } from '../contract/values.ts';
import { takeUriApart } from '../contract/mongo-uri.ts';
import { isGiven, textOf, type Given } from './command.ts';
import { readFileOf } from './secret-file.ts';

/** A connection string and the options beside it (definitions/options.ts: databaseSignIn) as one target. */
export async function readTarget(uri: string, given: Given): Promise<MongoTarget> {
  const { target, caFile, certificateKeyFile } = takeUriApart(uri);
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

async function credentialOf(target: MongoTarget, given: Given): Promise<MongoTarget['credential']> {
  if (textOf(given, 'x509') !== undefined) return { kind: 'x509' };
  const before = target.credential;
  const user = textOf(given, 'user') ?? (before.kind === 'scram' ? before.user : undefined);
  if (user === undefined) return before;
  const file = textOf(given, 'passwordFile');
  const password = file === undefined ? (before.kind === 'scram' ? before.password : '') : await readFileOf('password file', file);
  return { kind: 'scram', user, password, authSource: textOf(given, 'authSource') ?? (before.kind === 'scram' ? before.authSource : 'admin') };
}
