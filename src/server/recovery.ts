/**
 * A server on a new machine, of a copy of its configuration. Order: nothing is in the data directory that would be lost; the
 * secrets; the catalog under another name; its rename, which is the moment from which there is a server to start. A crash before
 * that leaves a directory that says what it lacks and is given another name by hand.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreSnapshot } from '../catalog/snapshot.ts';
import type { Configuration } from './configuration-copy.ts';
import { dataDirectoryUsed } from './installation-failures.ts';
import { writeSecret } from './secret-file.ts';

export type Recovered = { readonly sets: number; readonly hosts: number; readonly repositories: number; readonly sessions: number };

export async function recoverInto(data: string, { secrets, catalog }: Configuration): Promise<Recovered> {
  const path = join(data, 'server', 'catalog.sqlite');
  for (const file of [path, join(data, 'master.key'), join(data, 'server', 'ca.json')]) if (existsSync(file)) throw dataDirectoryUsed({ data, file });
  await mkdir(join(data, 'server'), { recursive: true, mode: 0o700 });
  await restoreSnapshot(`${path}.new`, catalog);
  await writeSecret(join(data, 'master.key'), Buffer.from(secrets.masterKeyHex, 'hex'));
  await writeSecret(join(data, 'server', 'ca.json'), secrets.authority);
  await rename(`${path}.new`, path);
  const count = (table: string): number => catalog.tables[table]?.length ?? 0;
  return { sets: count('sets'), hosts: count('hosts'), repositories: count('repositories'), sessions: count('sessions') };
}
