/**
 * Which server, with which token, trusted by which certificate authority: options first, then the environment's
 * settings, then what a running `tidemark up` has written into its data directory.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openClient, type Client } from './client.ts';
import { textOf, type Given } from './command.ts';
import { tokenMissing, usage } from './failures.ts';
import { readFileOf } from './secret-file.ts';
import type { Surroundings } from './surroundings.ts';
import { readyFile, type Ready } from './up/ready.ts';

export const defaultServer = 'https://127.0.0.1:9419';

export async function connect(given: Given, surroundings: Pick<Surroundings, 'settings' | 'dataDirectories'>): Promise<Client> {
  const { settings } = surroundings;
  const local = await findLocalServer(surroundings.dataDirectories);
  const server = withScheme(textOf(given, 'server') ?? settings.server ?? local?.url ?? defaultServer);
  const tokenFile = textOf(given, 'tokenFile') ?? settings.tokenFile ?? local?.tokenFile;
  if (tokenFile === undefined) throw tokenMissing({ looked: `no "tidemark up" runs on ${surroundings.dataDirectories.join(' or ')}` });
  const caFile = textOf(given, 'caFile') ?? settings.caFile ?? join(dirname(tokenFile), 'ca.pem');
  const token = await readFileOf('token file', tokenFile);
  return openClient({ server, token, ca: await readFileOf('certificate authority', caFile) });
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
