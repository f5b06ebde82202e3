/**
 * Which server, with which token, trusted by which certificate authority: options first, then the environment's settings,
 * then what `tidemark login` has kept, then what a running `tidemark up` has written into its data directory, which is that of a named token file first.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openClient, type Client } from './client.ts';
import { textOf, type Given } from './command.ts';
import { tokenMissing, usage } from './failures.ts';
import { readFileOf } from './secret-file.ts';
import { readSignIn } from './sign-in-file.ts';
import type { Surroundings } from './surroundings.ts';
import { readyFile, type Ready } from './up/ready.ts';

export const defaultServer = 'https://127.0.0.1:9419';

type Around = Pick<Surroundings, 'settings' | 'dataDirectories' | 'signInFile' | 'clock'>;

export async function connect(given: Given, surroundings: Around): Promise<Client> {
  const { settings, clock, signInFile } = surroundings;
  const named = namedServer(given, surroundings);
  const givenTokenFile = textOf(given, 'tokenFile') ?? settings.tokenFile;
  const kept = givenTokenFile === undefined ? await readSignIn(signInFile, clock.now()) : undefined;
  if (kept !== undefined && (named === undefined || new URL(named).origin === kept.server)) return openClient({ server: kept.server, token: kept.token, ca: await authority(given, surroundings) ?? kept.ca });
  const local = await findLocalServer([...(givenTokenFile === undefined ? [] : [dirname(givenTokenFile)]), ...surroundings.dataDirectories]);
  const tokenFile = givenTokenFile ?? local?.tokenFile;
  if (tokenFile === undefined) throw tokenMissing({ looked: `no "tidemark up" runs on ${surroundings.dataDirectories.join(' or ')}` });
  const ca = (await authority(given, surroundings)) ?? (await readFileOf('certificate authority', join(dirname(tokenFile), 'ca.pem')));
  return openClient({ server: named ?? local?.url ?? defaultServer, token: await readFileOf('token file', tokenFile), ca });
}

/** To sign in: a server and its authority, and no token yet. */
export async function connectUnsigned(given: Given, surroundings: Around): Promise<{ client: Client; ca: string }> {
  const local = await findLocalServer(surroundings.dataDirectories);
  const kept = await readSignIn(surroundings.signInFile, 0);
  const named = namedServer(given, surroundings);
  const server = named ?? local?.url ?? kept?.server ?? defaultServer;
  const ca = (await authority(given, surroundings)) ?? (kept !== undefined && kept.server === new URL(server).origin ? kept.ca : undefined) ?? (local !== undefined && named === undefined ? await readFileOf('certificate authority', local.caFile) : undefined);
  if (ca === undefined) throw usage({ why: 'name the certificate authority of the server with --ca-file', command: 'tidemark login' });
  return { client: openClient({ server, token: '', ca }), ca };
}

function namedServer(given: Given, { settings }: Pick<Around, 'settings'>): string | undefined {
  const server = textOf(given, 'server') ?? settings.server;
  return server === undefined ? undefined : withScheme(server);
}

async function authority(given: Given, { settings }: Pick<Around, 'settings'>): Promise<string | undefined> {
  const file = textOf(given, 'caFile') ?? settings.caFile;
  return file === undefined ? undefined : await readFileOf('certificate authority', file);
}

function withScheme(server: string): string {
  const url = /^[a-z]+:\/\//i.test(server) ? server : `https://${server}`;
  if (!URL.canParse(url)) throw usage({ why: `the server ${server} is not a URL`, command: 'tidemark' });
  if (new URL(url).protocol !== 'https:') throw usage({ why: `the server ${server} must be https://`, command: 'tidemark' });
  return url;
}

async function findLocalServer(directories: readonly string[]): Promise<Ready | undefined> {
  for (const directory of directories) {
    const text = await readFile(join(directory, readyFile), 'utf8').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as Ready;
  }
  return undefined;
}
