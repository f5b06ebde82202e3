/** Where a repository is, as an operator writes it: a directory, a share or a bucket, with what opens it beside it. */
import { resolve } from 'node:path';
import { isOfWindows } from '../base/place-path.ts';
import { repositoryLocation, type RepositoryLocation } from '../contract/values.ts';
import { isGiven, textOf, type Given, type Invocation } from './command.ts';
import { usageOf } from './numbers.ts';
import { readFileOf } from './secret-file.ts';

type Words = Given & Pick<Invocation, 'command'>;

export type WrittenPlace = { readonly location: RepositoryLocation; readonly secret: string | null };

/** `isLocal`: a directory is on this machine, so a relative one is completed; one of Windows is refused by whoever opens it. */
export async function readPlace(text: string, given: Words, options: { isLocal: boolean; straight: boolean }): Promise<WrittenPlace> {
  if (text.startsWith('smb:')) return await sharePlace(text, given, options.straight);
  if (text.startsWith('s3:')) return await bucketPlace(text, given, options.straight);
  return { location: { kind: 'directory', path: options.isLocal && !isOfWindows(text) ? resolve(text) : text }, secret: null };
}

async function sharePlace(text: string, given: Words, straight: boolean): Promise<WrittenPlace> {
  const url = urlOf(text, given, 'smb://server/share/folder');
  if (url.username !== '' || url.password !== '') throw usageOf(given, 'the user of a share is named with --share-user and its password with --share-password-file');
  const [share = '', ...folders] = segmentsOf(url.pathname);
  const [domain, user] = splitUser(textOf(given, 'shareUser') ?? '');
  const location = { kind: 'smb', server: url.hostname, port: url.port === '' ? undefined : Number(url.port), share, path: folders.join('/'), user, domain, encryption: textOf(given, 'encryption'), netbios: isGiven(given, 'netbios'), straight };
  return { location: checked(location, text, given), secret: await secretOf(given, 'sharePasswordFile', '--share-password-file', 'a share') };
}

function splitUser(text: string): [string, string] {
  const at = text.indexOf('\\');
  return at < 0 ? ['', text] : [text.slice(0, at), text.slice(at + 1)];
}

async function bucketPlace(text: string, given: Words, straight: boolean): Promise<WrittenPlace> {
  const url = urlOf(text.slice('s3:'.length), given, 's3:https://host/bucket/prefix');
  if (url.username !== '' || url.password !== '') throw usageOf(given, 'the key of a bucket is given with --access-key and --secret-key-file');
  const [bucket = '', ...folders] = segmentsOf(url.pathname);
  const ca = textOf(given, 'ca');
  const location = {
    kind: 's3',
    endpoint: url.origin,
    bucket,
    prefix: folders.join('/'),
    region: textOf(given, 'region'),
    style: isGiven(given, 'virtualHost') ? 'virtual-host' : 'path',
    accessKeyId: textOf(given, 'accessKey') ?? '',
    caPem: ca === undefined ? null : await readFileOf('certificate authority', ca),
    sse: sseOf(given),
    straight,
  };
  return { location: checked(location, text, given), secret: await secretOf(given, 'secretKeyFile', '--secret-key-file', 'a bucket') };
}

function sseOf(given: Words): 'AES256' | { kms: string } | null {
  const kms = textOf(given, 'sseKmsKey');
  if (kms === undefined) return isGiven(given, 'sse') ? 'AES256' : null;
  if (isGiven(given, 'sse')) throw usageOf(given, '--sse has the store take a key of its own, --sse-kms-key names one of its key service; give one of them');
  return { kms };
}

function urlOf(text: string, given: Words, form: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '' || url.search !== '' || url.hash !== '') throw usageOf(given, `${text} is not of the form ${form}`);
  return url;
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '').map(decodeURIComponent);
}

function checked(location: object, text: string, given: Words): RepositoryLocation {
  const read = repositoryLocation.safeParse(location);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw usageOf(given, `${text}: ${wordOf[String(issue?.path[0])] ?? String(issue?.path[0])} is missing or wrong (${issue?.message})`);
}

const wordOf: Readonly<Record<string, string>> = { share: 'the share', user: '--share-user', bucket: 'the bucket', accessKeyId: '--access-key', region: '--region', server: 'the server' };

/** What stands on a command line can be seen by every user of the machine. */
async function secretOf(given: Words, name: string, flag: string, kind: string): Promise<string> {
  const file = textOf(given, name);
  if (file === undefined) throw usageOf(given, `${kind} needs ${flag}`);
  return await readFileOf(flag.slice(2), file);
}
