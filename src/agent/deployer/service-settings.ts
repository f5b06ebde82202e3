/** A service's settings: its file in /etc/tidemark, and the rights that its unit grants beyond its own. */
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../../base/whole-file.ts';
import type { PackageName } from '../../contract/packages.ts';
import { packageNotInstalled, serviceNotHealthy } from '../failures.ts';
import { restartSoon, type Changing, type Step } from './change-version.ts';
import { whyUnhealthy } from './health.ts';
import type { Begun } from './journal.ts';

export type Places = { readonly settings: string; readonly units: string };
export type ServiceSettings = { readonly settings: Record<string, unknown>; readonly rights?: 'read' | 'restore' | undefined };

const fileOf = (places: Places, name: PackageName): string => join(places.settings, `${name.replace('tidemark-', '')}.json`);
const rightsOf = (places: Places, name: PackageName): string => join(places.units, `${name}.service.d`, 'rights.conf');

const textOf = async (path: string): Promise<string | null> => await readFile(path, 'utf8').catch(() => null);

export async function writeSettings(changing: Changing, places: Places, name: PackageName, given: ServiceSettings, version: string): Promise<void> {
  await writeWhole(fileOf(places, name), `${JSON.stringify(given.settings, null, 2)}\n`, 0o644);
  const rights = rightsOf(places, name);
  if (given.rights === 'read') await rm(rights, { force: true });
  if (given.rights === 'restore') {
    await mkdir(join(rights, '..'), { recursive: true, mode: 0o755 });
    await copyFile(join(changing.versions.directory(name, version), 'units/restore.conf'), rights);
  }
}

/** Writes, restarts that service alone, and takes back what it does not start with. */
export async function configure(changing: Changing, places: Places, name: PackageName, given: ServiceSettings, step: Step): Promise<void> {
  const { versions, journal, control, clock } = changing;
  const version = await versions.current(name);
  if (version === undefined) throw packageNotInstalled({ name });
  const before = { kind: 'configure', name, settings: await textOf(fileOf(places, name)), rights: await textOf(rightsOf(places, name)) } as const;
  const notPid = (await control.status(name))?.pid;
  await step('begin');
  await journal.begin(before);
  await step('write');
  await writeSettings(changing, places, name, given, version);
  await step('restart');
  await control.reload();
  if (name === 'tidemark-deployer') return restartSoon(changing);
  await control.restart(name).catch(() => {});
  await step('see that it is healthy');
  const why = await whyUnhealthy(control, { name, version, notPid }, changing.healthWithinMs, clock);
  if (why === undefined) return await journal.end({ what: `configure ${name}`, atMs: clock.now(), ok: true, says: 'it is healthy' });
  await step('go back');
  await takeBack(changing, places, before, why);
  throw serviceNotHealthy({ name, version, why: `with the new settings: ${why}`, now: 'it has the old ones again' });
}

async function takeBack(changing: Changing, places: Places, before: Extract<Begun, { kind: 'configure' }>, why: string): Promise<void> {
  const { control, journal, clock } = changing;
  const { name, settings, rights } = before;
  for (const [path, text] of [[fileOf(places, name), settings], [rightsOf(places, name), rights]] as const) {
    if (text === null) await rm(path, { force: true });
    else await writeWhole(path, text, 0o644);
  }
  await control.reload();
  await control.restart(name).catch(() => {});
  await journal.end({ what: `configure ${name}`, atMs: clock.now(), ok: false, says: why });
}

/** After a start of the deployer: nobody has seen the new settings work, so the old ones are put back. Its own did work: it started. */
export async function resumeConfigure(changing: Changing, places: Places, before: Extract<Begun, { kind: 'configure' }>): Promise<void> {
  if (before.name === 'tidemark-deployer') return await changing.journal.end({ what: `configure ${before.name}`, atMs: changing.clock.now(), ok: true, says: 'it runs with them' });
  await takeBack(changing, places, before, 'interrupted; it has the old settings');
}
