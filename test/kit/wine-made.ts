/**
 * Windows' programs need a Wine of 2024 or later, which Debian 12 does not have: a folder with Debian trixie and its Wine, made once with
 * debootstrap from this machine's own package source, and kept in the cache directory. With it a prefix, the C: drive that
 * every test starts from. Made beside and renamed, so that it is there whole or not at all.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const wineFolder = join(process.env['TIDEMARK_CACHE'] ?? join(homedir(), '.cache/tidemark'), 'wine-10-trixie');

const whyNot = `${wineFolder}.why`;

/** Why it cannot be here, or undefined. */
export function whyNoWine(): string | undefined {
  if (process.arch !== 'x64') return `Wine runs programs for x64 only on x64, and this is ${process.arch}`;
  if (process.getuid?.() !== 0) return 'the Wine folder needs root';
  if (existsSync(wineFolder)) return undefined;
  if (existsSync(whyNot)) return `Wine could not be made here: ${readFileSync(whyNot, 'utf8')}`;
  if (!existsSync('/usr/sbin/debootstrap')) return 'debootstrap is not on this machine';
  return debianSource() === undefined ? 'this machine has no package source of Debian' : undefined;
}

/** Before the tests: one that cannot be made leaves the reason, with which the tests that need it are skipped. */
export function makeWineOrSayWhy(say: (line: string) => void): void {
  rmSync(whyNot, { force: true });
  if (existsSync(wineFolder) || whyNoWine() !== undefined) return;
  say('making a folder with Wine for the tests of Windows hosts: about a minute, 2 GB, once');
  try {
    makeWine();
  } catch (error) {
    mkdirSync(join(wineFolder, '..'), { recursive: true });
    writeFileSync(whyNot, (error as Error).message.slice(0, 500));
    say(`it could not be made: ${(error as Error).message}`);
  }
}

export function makeWine(): void {
  if (existsSync(wineFolder)) return;
  const source = debianSource();
  if (source === undefined) throw new Error('this machine has no package source of Debian');
  const work = `${wineFolder}.${process.pid}`;
  const root = join(work, 'root');
  mkdirSync(root, { recursive: true });
  try {
    run('/usr/sbin/debootstrap', ['--variant=minbase', 'trixie', root, source]);
    writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n');
    writeFileSync(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    mkdirSync(join(root, 'w'));
    mkdirSync(join(work, 'prefix'));
    inside(root, `mount --bind ${work}/prefix ${root}/w`, 'apt-get install -qq -y --no-install-recommends wine wine64 && WINEPREFIX=/w/pfx WINEDEBUG=-all wineboot -i && WINEPREFIX=/w/pfx wineserver -w');
    run('/bin/sh', ['-c', `rm -rf ${root}/var/cache/apt/archives/*.deb ${root}/var/lib/apt/lists/*`]);
    if (!existsSync(wineFolder)) renameSync(work, wineFolder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(program: string, args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 500_000, maxBuffer: 64 << 20 });
}

/** Mounts of its own, which end with the command. */
function inside(root: string, mounts: string, command: string): void {
  run('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'bash', '-c', `set -e; mount -t proc proc ${root}/proc; mount --bind /dev ${root}/dev; ${mounts}; exec chroot ${root} env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin XDG_RUNTIME_DIR=/tmp DEBIAN_FRONTEND=noninteractive sh -c '${command}'`]);
}

/** The address of Debian's packages, as this machine's own apt has it. */
function debianSource(): string | undefined {
  const folder = '/etc/apt/sources.list.d';
  const files = [...(existsSync(folder) ? readdirSync(folder).filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(folder, name)) : []), '/etc/apt/sources.list'].filter((file) => existsSync(file));
  const lines = files.flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  return lines.flatMap((line) => /^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?:\/\/\S+\/debian)\/?(?:\s|$)/.exec(line)?.[1] ?? []).at(0);
}
