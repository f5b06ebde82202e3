/** The settings files of a host's services: /etc/tidemark/transport.json and deployer.json, on Windows in C:\ProgramData\Tidemark. What is left out has a default. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { windowsPathProblem } from '../base/windows-path.ts';
import { settingsNotUnderstood } from './failures.ts';

const isWindows = process.platform === 'win32';
/** A path of this host, from its root. */
const path = z.string().refine((given) => (isWindows ? windowsPathProblem(given) === undefined : given.startsWith('/')), 'it is not a path from the root of this host');
/** Below it only administrators and the system may make a name, so whoever answers there is one of them. */
const ownPipes = '\\\\.\\pipe\\ProtectedPrefix\\Administrators\\';
const pipe = z.string().refine((given) => given.startsWith(isWindows ? ownPipes : '/'), isWindows ? `it is not a name below ${ownPipes}` : 'it is not the name of a socket');
/** Settings, keys, kits and logs of all services of a Windows host. */
export const windowsHome = 'C:\\ProgramData\\Tidemark';
/** Where a service finds its settings and its kit in that folder: whoever lays them down for it goes by this too. */
export const inWindowsHome = { settings: (service: string) => [`${service}.json`], kit: (service: string) => [service, 'kit.json'] } as const;
/** The settings file of a service, by its short name. */
export const settingsFileOf = (service: string): string => (isWindows ? [windowsHome, ...inWindowsHome.settings(service)].join('\\') : `/etc/tidemark/${service}.json`);
/** Where a service keeps its own. */
const own = (service: string, ...file: string[]): string => (isWindows ? [windowsHome, service, ...file].join('\\') : [`/var/lib/tidemark-${service}`, ...file].join('/'));
const kitOf = (service: string): string => (isWindows ? [windowsHome, ...inWindowsHome.kit(service)].join('\\') : own(service, 'kit.json'));

const port = z.int().min(1).max(65_535);
/** Without an address, all addresses of the machine: the server and other hosts must reach it. */
const listen = (usual: number) => z.strictObject({ address: z.string().min(1).nullable().default(null), port: port.default(usual) }).default({ address: null, port: usual });
/** HOST:PORT of the backup server's enrolment, where certificates are renewed; null: where the kit said. */
const server = z.string().min(1).nullable().default(null);

export const transportSettings = z.strictObject({
  server,
  listen: listen(6162),
  /** Data channels: one port of this range for each TCP connection. */
  data: z.strictObject({ from: port, to: port }).refine(({ from, to }) => from <= to, 'from is above to').default({ from: 2500, to: 3300 }),
  work: path.default(own('transport')),
  /** Written by the service itself, when it enrols and renews. */
  identity: path.default(own('transport', 'identity.json')),
  /** Redeemed for an identity when it is there, and removed. */
  kit: path.default(kitOf('transport')),
  /** HOST:PORT to open the order link to, where nobody may dial this host; null: where the kit said, or not at all. */
  dial: z.string().min(1).nullable().default(null),
  /** Where the deployer of this host asks how the service is; reachable by root and the service's own user. */
  status: pipe.default(isWindows ? `${ownPipes}tidemark-transport` : '/run/tidemark-transport/status.sock'),
});
export type TransportSettings = z.infer<typeof transportSettings>;

export const deployerSettings = z.strictObject({
  server,
  listen: listen(6160),
  work: path.default(own('deployer')),
  identity: path.default(own('deployer', 'identity.json')),
  kit: path.default(kitOf('deployer')),
  dial: z.string().min(1).nullable().default(null),
  /** The public key that packages must be signed with; a kit brings it. */
  trustedKey: path.default(isWindows ? `${windowsHome}\\packages.pub` : '/etc/tidemark/packages.pub'),
});
export type DeployerSettings = z.infer<typeof deployerSettings>;

/** A file that is not there, or none, is one that leaves everything out. */
export async function readSettings<S extends z.ZodType>(file: string | undefined, schema: S): Promise<z.infer<S>> {
  let given: unknown = {};
  try {
    if (file !== undefined) given = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw settingsNotUnderstood({ path: file!, why: (error as Error).message }, error);
  }
  const read = schema.safeParse(given);
  if (!read.success) throw settingsNotUnderstood({ path: file ?? 'no file', why: z.prettifyError(read.error).replaceAll('\n', ' ') });
  return read.data;
}
