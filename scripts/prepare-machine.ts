import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What tests use of the machine beyond npm: `file` shows that the package is there. Without it, tests that need it are skipped and say so. */
const packages = [
  { name: 'libcurl4', files: ['/usr/lib/x86_64-linux-gnu/libcurl.so.4', '/usr/lib/aarch64-linux-gnu/libcurl.so.4'] },
  { name: 'xfsprogs', files: ['/usr/sbin/mkfs.xfs', '/sbin/mkfs.xfs'] },
  { name: 'btrfs-progs', files: ['/usr/bin/mkfs.btrfs', '/usr/sbin/mkfs.btrfs', '/sbin/mkfs.btrfs'] },
];

/** Installs missing Debian packages when it may, and finds or fetches a mongod. Says what it does; fails only without a mongod. */
export async function prepareMachine(root: string, options: { databases: boolean; say: (line: string) => void }): Promise<void> {
  if (!options.databases) return;
  const missing = packages.filter((wanted) => !wanted.files.some((file) => existsSync(file))).map((wanted) => wanted.name);
  if (missing.length > 0) installPackages(missing, options.say);
  const kit = join(root, 'test/kit/mongod.ts');
  if (!existsSync(kit)) return;
  const { findMongod } = (await import(pathToFileURL(kit).href)) as { findMongod?: () => Promise<unknown> };
  if (findMongod !== undefined) options.say(`mongod: ${JSON.stringify(await findMongod())}`);
}

function installPackages(missing: readonly string[], say: (line: string) => void): void {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    say(`missing: ${missing.join(', ')}; tests that need them are skipped (as root they would be installed)`);
    return;
  }
  say(`installing ${missing.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): boolean => spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env, timeout: 300_000 }).status === 0;
  const install = (): boolean => apt('install', '-y', '--no-install-recommends', ...missing);
  if (!install() && !(apt('update') && install())) say(`could not install ${missing.join(', ')}; tests that need them are skipped`);
}
