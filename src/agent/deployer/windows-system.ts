/**
 * The deployer's hands on Windows. Windows Installer keeps one version of a package, whole, and puts the one before back when a
 * newer one cannot be installed; so there is no `current` to switch, and a version that is kept is its installer.
 *
 *   C:\ProgramData\Tidemark\deployer\packages\transport\0.1.0.msi    a version: complete, because it got this name in one move
 *   C:\Program Files\Tidemark\transport\package.json                 names the version that is installed
 *
 * A newer one is installed over an older one in one step. Going back takes the newer one away first: Windows Installer refuses an older one.
 * The deployer's own change is made by an `msiexec` that outlives it: Windows Installer stops this service, replaces it and starts it.
 */
import { copyFile, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startAside } from '../../base/child-process.ts';
import { moveOver } from '../../base/durable-names.ts';
import { until } from '../../base/deadline.ts';
import { serviceStanding, startService, stopService, systemDirectory } from '../../base/windows-service-manager.ts';
import { compareVersions, packageVersion, type PackageName } from '../../contract/packages.ts';
import { packageNotKept } from '../failures.ts';
import { askStatus, type ServiceStatus } from '../service-status.ts';
import { windowsHome } from '../settings.ts';
import { installPackage, productsOf, replaceThisProgram, uninstallPackage } from '../windows-packages.ts';
import type { HostSystem } from './host-system.ts';
import { wordsOf, type ServiceControl } from './service-control.ts';
import type { Versions } from './versions.ts';

const own = 'tidemark-deployer';
const stopMs = 60_000;
const startMs = 60_000;
const logBytes = 32 << 10;

const shortOf = (name: PackageName): string => name.replace('tidemark-', '');

export function openWindowsSystem(statusPipes: Partial<Record<PackageName, string>>, programs: string): HostSystem {
  const packages = join(windowsHome, 'deployer', 'packages');
  /** Of this service, installed when it is restarted. */
  const next: { version?: string } = {};
  const versions = windowsVersions(packages, programs, next);
  return {
    versions,
    control: windowsControl(statusPipes, { program: (version) => versions.directory(own, version), next }),
    places: { settings: windowsHome, units: null, state: (name) => join(windowsHome, shortOf(name)) },
  };
}

function windowsVersions(packages: string, programs: string, next: { version?: string }): Versions {
  const place = (name: PackageName): string => join(packages, shortOf(name));
  const namesIn = async (directory: string): Promise<string[]> => await readdir(directory).catch((): string[] => []);
  const stored = async (name: PackageName): Promise<string[]> => (await namesIn(place(name))).flatMap((file) => (file.endsWith('.msi') && packageVersion.safeParse(file.slice(0, -4)).success ? [file.slice(0, -4)] : []));
  const current = async (name: PackageName): Promise<string | undefined> => {
    const text = await readFile(join(programs, shortOf(name), 'package.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : packageVersion.parse((JSON.parse(text) as { version?: unknown }).version);
  };
  const versions: Versions = {
    directory: (name, version) => join(place(name), `${version}.msi`),
    current,
    kept: async (name) => [...new Set([...(await stored(name)), ...[await current(name)].filter((version) => version !== undefined)])].sort((a, b) => compareVersions(b, a)),
    async unpack({ name, version }, archive) {
      const partial = join(place(name), `${version}.partial`);
      await mkdir(place(name), { recursive: true });
      await copyFile(archive, partial);
      const file = await open(partial, 'r+');
      await file.sync().finally(async () => await file.close());
      await moveOver(partial, versions.directory(name, version));
    },
    async point(name, link, version) {
      if (link === 'previous') return;
      if (name === own) return void (next.version = version);
      const here = await current(name);
      if (here === version) return;
      const file = versions.directory(name, version);
      await stat(file).catch((error: unknown) => {
        throw packageNotKept({ name, version }, error);
      });
      if (here !== undefined && !isUpgrade(here, version)) await uninstallPackage({ name, version: here });
      await installPackage(file, { name, version });
    },
    async unpoint(name, link) {
      if (link === 'current') await uninstallPackage({ name, version: (await current(name)) ?? 'of before' });
    },
    remove: async (name, version) => await rm(versions.directory(name, version), { force: true }),
    async removeAll(name) {
      await uninstallPackage({ name, version: (await current(name)) ?? 'of before' });
      // Windows Installer leaves what was in use.
      await rm(join(programs, shortOf(name)), { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
      await rm(place(name), { recursive: true, force: true });
    },
    async clear() {
      for (const folder of await namesIn(packages)) for (const file of await namesIn(join(packages, folder))) if (file.endsWith('.partial')) await rm(join(packages, folder, file), { force: true });
    },
  };
  return versions;
}

/** Windows Installer knows three numbers, and nothing of what comes after them. */
function isUpgrade(here: string, wanted: string): boolean {
  return compareVersions(here.replace(/-.*$/, ''), wanted.replace(/-.*$/, '')) < 0;
}

function windowsControl(statusPipes: Partial<Record<PackageName, string>>, self: { program: (version: string) => string; next: { version?: string } }): ServiceControl {
  const ask = async (name: PackageName, drain?: boolean): Promise<ServiceStatus | undefined> => {
    const pipe = statusPipes[name];
    const pid = serviceStanding(name)?.pid;
    // Of a service that does not run nobody answers whose word counts.
    return pipe === undefined || pid === undefined || pid === 0 ? undefined : await askStatus(pipe, { order: drain === undefined ? undefined : { drain }, pid });
  };
  const stop = async (name: string): Promise<void> => {
    stopService(name);
    await until(`the service ${name} to stop`, stopMs, async () => await Promise.resolve([undefined, 'stopped'].includes(serviceStanding(name)?.state) ? true : undefined), { everyMs: 100 });
  };
  const system = systemDirectory();
  const command = async (line: string): Promise<void> => void (await startAside(join(system, 'cmd.exe'), ['/d', '/s', '/c', `"${line}"`], { verbatim: true }));
  return {
    // Windows Installer registers the service and starts it with the machine.
    async setup(file, verb) {
      const name = `tidemark-${shortFrom(file)}`;
      if (verb === 'prepare') await mkdir(join(windowsHome, shortFrom(file)), { recursive: true });
      else if (verb === 'disable') await stop(name);
      else if (verb === 'purge') for (const path of ownFiles(shortFrom(file))) await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    },
    async restart(name) {
      await stop(name);
      startService(name);
      await until(`the service ${name} to run`, startMs, async () => await Promise.resolve(serviceStanding(name)?.state === 'starting' ? undefined : true), { everyMs: 100 });
    },
    async restartLater(name) {
      const { version } = self.next;
      if (version === undefined) return await command(`net stop ${name} & net start ${name}`);
      delete self.next.version;
      await replaceThisProgram(self.program(version), { name, version }, { system });
    },
    async state(name) {
      const standing = serviceStanding(name);
      if (standing === undefined) return await Promise.resolve('inactive');
      return { running: 'active', starting: 'activating', stopping: 'deactivating', stopped: standing.exitCode === 0 ? 'inactive' : 'failed', other: 'inactive' }[standing.state];
    },
    // Windows does not tell how often it has started a service again.
    restarts: async () => await Promise.resolve(0),
    status: async (name) => await ask(name),
    drain: async (name, on) => await ask(name, on),
    lastWords: async (name) => (await endOf(join(windowsHome, `${shortOf(name)}.log`))).split('\n').map(wordsOf).findLast((words) => words !== '') ?? '',
    reload: async () => {},
    forgetPackage: async () => {},
    async removeSelf() {
      const removed = productsOf(own).map((product) => `start "" /wait msiexec /x ${product} /qn /norestart`);
      const files = ownFiles('deployer').map((path) => `rd /s /q "${path}" 2>nul & del /q "${path}" 2>nul`);
      await command([...removed, ...files, `rd "${windowsHome}"`].join(' & '));
    },
  };
}

/** Of `…\packages\transport\0.1.0.msi`. */
const shortFrom = (file: string): string => file.split('\\').at(-2)!;

function ownFiles(short: string): string[] {
  return [join(windowsHome, short), ...[`${short}.json`, `${short}.log`, `${short}.log.old`, ...(short === 'deployer' ? ['packages.pub'] : [])].map((name) => join(windowsHome, name))];
}

async function endOf(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, logBytes)), 0, Math.min(size, logBytes), Math.max(0, size - logBytes));
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  }
}
