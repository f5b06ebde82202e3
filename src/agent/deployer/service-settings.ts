/** A service's settings: its file in /etc/tidemark (on Windows in C:\ProgramData\Tidemark), the rights that its unit grants beyond its own, and the kit it enrols with. */
import { chown, copyFile, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../../base/whole-file.ts';
import type { OrderInput } from '../../contract/orders.ts';
import type { PackageName } from '../../contract/packages.ts';
import { packageNotInstalled, rightsNotHere, serviceNotHealthy, settingsNotUnderstood } from '../failures.ts';
import { restartSoon, waitForSessions, type Changing, type Step } from './change-version.ts';
import { whyUnhealthy } from './health.ts';
import type { Begun } from './journal.ts';

export type Places = { readonly settings: string; /** Null where the manager of services grants no rights of its own. */ readonly units: string | null; /** The directory of a service. */ readonly state: (name: PackageName) => string };
type ServiceSettings = OrderInput<'deployer.configure'>['service'];
type OldSettings = Extract<Begun, { kind: 'configure' }>;

const own = 'tidemark-deployer';

const fileOf = (places: Places, name: PackageName): string => join(places.settings, `${name.replace('tidemark-', '')}.json`);
const kitOf = (places: Places, name: PackageName): string => join(places.state(name), 'kit.json');
const rightsOf = ({ units }: Places, name: PackageName): string | null => (units === null ? null : join(units, `${name}.service.d`, 'rights.conf'));

const textOf = async (path: string | null): Promise<string | null> => (path === null ? null : await readFile(path, 'utf8').catch(() => null));

export async function writeSettings(changing: Changing, places: Places, name: PackageName, given: ServiceSettings, version: string): Promise<void> {
  if (given.rights === 'restore' && places.units === null) throw rightsNotHere({ name });
  await writeWhole(fileOf(places, name), await changedText(places, name, given.settings), 0o644);
  if (given.kit !== undefined) await writeKit(kitOf(places, name), JSON.stringify(given.kit));
  const rights = rightsOf(places, name);
  if (rights === null) return;
  if (given.rights === 'read') await rm(rights, { force: true });
  if (given.rights === 'restore') {
    await mkdir(join(rights, '..'), { recursive: true, mode: 0o755 });
    await copyFile(join(changing.versions.directory(name, version), 'units/restore.conf'), rights);
  }
}

/** A kit that was not used goes with the installation that failed. */
export async function dropKit(places: Places, name: PackageName): Promise<void> {
  await rm(kitOf(places, name), { force: true });
}

/** For the service alone: it holds a token. */
async function writeKit(path: string, text: string): Promise<void> {
  await writeWhole(path, text, 0o600);
  const { uid, gid } = await stat(join(path, '..'));
  await chown(path, uid, gid);
}

/** What the file will say; fails while nothing has changed when what it says now cannot be read. */
async function changedText(places: Places, name: PackageName, given: ServiceSettings['settings']): Promise<string> {
  const path = fileOf(places, name);
  try {
    return `${JSON.stringify(merged(JSON.parse((await textOf(path)) ?? '{}'), given), null, 2)}\n`;
  } catch (error) {
    throw settingsNotUnderstood({ path, why: (error as Error).message }, error);
  }
}

/** Objects field by field; everything else is replaced. */
function merged(before: unknown, given: unknown): unknown {
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(before) || !isObject(given)) return given;
  return { ...before, ...Object.fromEntries(Object.entries(given).map(([field, value]) => [field, merged(before[field], value)])) };
}

export type ConfigureOptions = { readonly name: PackageName; readonly service: ServiceSettings; readonly sessionsWithinMs: number; readonly step: Step; readonly signal: AbortSignal };

/** Writes, restarts that service alone, and takes back what it does not start with. */
export async function configure(changing: Changing, places: Places, options: ConfigureOptions): Promise<void> {
  const { name, service: given, step } = options;
  const { versions, journal, control, clock } = changing;
  const version = await versions.current(name);
  if (version === undefined) throw packageNotInstalled({ name });
  await changedText(places, name, given.settings);
  if (name !== own) {
    await step('wait for running sessions');
    await waitForSessions(changing, name, options.sessionsWithinMs, options.signal);
  }
  const before = { kind: 'configure', name, settings: await textOf(fileOf(places, name)), rights: await textOf(rightsOf(places, name)) } as const;
  const notPid = (await control.status(name))?.pid;
  await step('begin');
  await journal.begin(before);
  await step('write');
  await writeSettings(changing, places, name, given, version);
  await step('restart');
  await control.reload();
  if (name === own) return restartSoon(changing);
  await control.restart(name).catch(() => {});
  await step('see that it is healthy');
  const why = await whyUnhealthy(control, { name, version, notPid }, changing.healthWithinMs, clock);
  if (why === undefined) return await journal.end({ what: `configure ${name}`, atMs: clock.now(), ok: true, says: 'it is healthy' });
  await step('go back');
  await takeBack(changing, places, before, why);
  throw serviceNotHealthy({ name, version, why: `with the new settings: ${why}`, now: 'it has the old ones again' });
}

/** Puts the old settings back, has `restart` bring the service up with them, and ends the entry. */
async function takeBack(changing: Changing, places: Places, before: OldSettings, why: string, restart: () => Promise<void> = async () => await changing.control.restart(before.name)): Promise<void> {
  const { control, journal, clock } = changing;
  const { name, settings, rights } = before;
  for (const [path, text] of [[fileOf(places, name), settings], [rightsOf(places, name), rights]] as const) {
    if (path === null) continue;
    if (text === null) await rm(path, { force: true });
    else await writeWhole(path, text, 0o644);
  }
  await control.reload();
  await restart().catch(() => {});
  await journal.end({ what: `configure ${name}`, atMs: clock.now(), ok: false, says: why });
}

/** Of the deployer itself: the entry ends first, because the next process takes one for a trial of what it finds in the file. */
export async function takeBackOwn(changing: Changing, places: Places, before: OldSettings, why: string): Promise<void> {
  await takeBack(changing, places, before, why, async () => await Promise.resolve());
}

/**
 * After a start of the deployer: nobody has seen the new settings work, so the old ones are put back. Its own work when the
 * server gives it an order: a port that it listens on and nobody can reach would leave the host without a deployer.
 */
export async function resumeConfigure(changing: Changing, places: Places, before: OldSettings, heard: () => Promise<boolean>): Promise<void> {
  const { journal, clock } = changing;
  if (before.name !== own) return await takeBack(changing, places, before, 'interrupted; it has the old settings');
  if (await heard()) return await journal.end({ what: `configure ${own}`, atMs: clock.now(), ok: true, says: 'the server reached it with them' });
  await takeBackOwn(changing, places, before, 'the server did not reach it with the new settings; it has the old ones');
  restartSoon(changing);
}
