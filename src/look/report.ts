/**
 * Reads what probe.ts printed. What a process shows counts before what its options say: open files tell where the data
 * is, sockets tell the port, whatever the configuration file, links and containers make of it.
 */
import { basename, dirname, isAbsolute, join } from 'node:path/posix';
import { hostLook, type FileSystemLook, type FoundMongod, type HostLook } from '../contract/host-look.ts';
import { lookBroken } from './failures.ts';
import { optionsOfArguments, optionsOfFile, type FileOptions } from './options.ts';
import { probeVersion } from './probe.ts';
import { holding, parseListeners, parseMounts, type MountedAt } from './proc-text.ts';

type Facts = ReadonlyMap<string, string>;

/** `host` is only for the sentence of a failure. */
export function readLook(text: string, host: string): HostLook {
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
  if (lines[0] !== `tidemark-look ${probeVersion}`) throw lookBroken({ host, why: `it does not begin with "tidemark-look ${probeVersion}"` });
  if (lines.at(-1) !== 'end') throw lookBroken({ host, why: 'it was cut off' });
  const machine = new Map<string, string>();
  const space: HostLook['space'] = [];
  const processes: { pid: number; facts: Map<string, string> }[] = [];
  for (const line of lines.slice(1, -1)) {
    const [name = '', first = '', second = ''] = line.split(' ');
    if (name === 'mongod' && /^\d+$/.test(first)) processes.push({ pid: Number(first), facts: new Map() });
    else if (name === 'space') space.push(...spaceOf(decode(first), decode(second)));
    else (processes.at(-1)?.facts ?? machine).set(name, decode(first));
  }
  const fact = (name: string): string => machine.get(name)?.trim() ?? '';
  const look = {
    hostname: fact('hostname'),
    system: fact('system'),
    kernel: fact('kernel'),
    machine: fact('machine'),
    glibc: /^glibc (\d+\.\d+)/.exec(fact('glibc'))?.[1] ?? null,
    systemd: numberIn(/^systemd (\d+)/.exec(fact('systemd'))?.[1]),
    asRoot: fact('user') === '0',
    space,
    mongods: processes.filter(({ facts }) => isMongod(facts)).map(({ pid, facts }) => mongodOf(pid, facts)),
  };
  return hostLook.parse(look);
}

const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
const numberIn = (text: string | undefined): number | null => (text === undefined ? null : Number(text));

/** `Filesystem 1024-blocks Used Available Capacity Mounted`; a file system's name may hold spaces. */
function sizesOf(df: string): { totalBytes: number; freeBytes: number } | null {
  const match = /\s(\d{1,15})\s+\d{1,15}\s+(-?\d{1,15})\s+\d+%\s/.exec(df);
  return match === null ? null : { totalBytes: Number(match[1]) * 1024, freeBytes: Math.max(0, Number(match[2])) * 1024 };
}

function spaceOf(path: string, df: string): HostLook['space'] {
  const sizes = sizesOf(df);
  return sizes === null ? [] : [{ path, freeBytes: sizes.freeBytes }];
}

/** Not mongodump, mongodb_exporter and their like; the name of the binary counts, and what it holds open. */
function isMongod(facts: Facts): boolean {
  // A process that has ended and waits for its parent has no command line any more.
  if ((facts.get('cmdline') ?? '') === '') return false;
  const named = /(^|[-_.])mongod($|[-_.\d])/;
  const exe = basename(facts.get('exe') ?? '').replace(/ \(deleted\)$/, '');
  return named.test(exe) || (exe === '' && named.test(facts.get('comm') ?? '')) || /\/mongod\.lock$/m.test(facts.get('files') ?? '');
}

function mongodOf(pid: number, facts: Facts): FoundMongod {
  const fact = (name: string): string => facts.get(name) ?? '';
  const args = fact('cmdline').split('\0').slice(1).filter((arg, at, all) => arg !== '' || at < all.length - 1);
  const file = fileOf(facts);
  const given = optionsOfArguments(args);
  const option = (name: string): string | undefined => given.get(name) ?? file.options.get(name);
  const absolute = (path: string | undefined): string | null => (path === undefined || path === '' ? null : isAbsolute(path) ? path : join(fact('cwd') || '/', path));
  const role = clusterRoleOf(option('sharding.clusterRole'));
  const open = fact('files').split('\n');
  const lock = open.find((path) => path.endsWith('/WiredTiger.lock')) ?? open.find((path) => path.endsWith('/mongod.lock'));
  const dbPath = lock === undefined ? (absolute(option('storage.dbPath')) ?? (file.expanded.includes('storage.dbPath') ? null : role === 'configsvr' ? '/data/configdb' : '/data/db')) : dirname(lock);
  const journal = open.find((path) => /\/WiredTigerLog\.\d+$/.test(path));
  const journalPath = journal === undefined ? (dbPath === null ? null : join(dbPath, 'journal')) : dirname(journal);
  const listening = listeningOf(fact('tcp'), open);
  const mounts = parseMounts(fact('mountinfo'));
  const mount = dbPath === null ? undefined : holding(mounts, dbPath);
  return {
    pid,
    uid: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(fact('status'))?.[1] ?? -1),
    binary: fact('exe').replace(/ \(deleted\)$/, ''),
    version: /db version v(\S+)/.exec(fact('version'))?.[1] ?? null,
    dbPath,
    port: portOf(option('net.port'), listening, role),
    listening,
    bindIp: bindIpOf(option('net.bindIp'), option('net.bindIpAll')),
    replicaSet: option('replication.replSetName')?.split('/')[0] ?? null,
    clusterRole: role,
    storageEngine: lock?.endsWith('/WiredTiger.lock') === true ? 'wiredTiger' : (option('storage.engine') ?? 'wiredTiger'),
    directoryPerDb: option('storage.directoryPerDB') === 'true',
    encryptedAtRest: option('security.enableEncryption') === 'true',
    tls: tlsOf(option('net.tls.mode')),
    keyFile: absolute(option('security.keyFile')),
    configFile: fact('config') === '' ? null : fact('config'),
    journalPath,
    journalElsewhere: dbPath !== null && journalPath !== null && (journalPath !== join(dbPath, 'journal') || holding(mounts, journalPath)?.device !== mount?.device),
    logPath: absolute(option('systemLog.path')),
    fileSystem: mount === undefined ? null : fileSystemOf(mount, fact('df'), fact('xfs')),
    inContainer: facts.has('container'),
    notes: notesOf(facts, file, lock),
  };
}

function fileOf(facts: Facts): FileOptions {
  const text = facts.get('configtext');
  return text === undefined || text === '' ? { options: new Map(), expanded: [], problem: null } : optionsOfFile(text);
}

/** Those of its own sockets: another process in the same network listens as well. */
function listeningOf(tcp: string, open: readonly string[]): FoundMongod['listening'] {
  const own = new Set(open.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
  return parseListeners(tcp).filter(({ inode }) => own.has(inode)).map(({ address, port }) => ({ address, port })).sort((a, b) => a.port - b.port || (a.address < b.address ? -1 : 1));
}

function portOf(option: string | undefined, listening: FoundMongod['listening'], role: FoundMongod['clusterRole']): number {
  const usual = role === 'configsvr' ? 27_019 : role === 'shardsvr' ? 27_018 : 27_017;
  const given = /^\d{1,5}$/.test(option ?? '') && Number(option) <= 65_535 ? Number(option) : usual;
  return listening.length === 0 || listening.some(({ port }) => port === given) ? given : listening[0]!.port;
}

function bindIpOf(bindIp: string | undefined, all: string | undefined): string[] {
  if (all === 'true') return ['*'];
  return (bindIp ?? '127.0.0.1').split(',').map((one) => one.trim()).filter((one) => one !== '');
}

function tlsOf(mode: string | undefined): FoundMongod['tls'] {
  const asTls = mode?.replace(/SSL$/, 'TLS');
  return asTls === 'allowTLS' || asTls === 'preferTLS' || asTls === 'requireTLS' ? asTls : 'disabled';
}

function clusterRoleOf(text: string | undefined): FoundMongod['clusterRole'] {
  return text === 'configsvr' || text === 'shardsvr' ? text : null;
}

function fileSystemOf(mount: MountedAt, df: string, xfs: string): FileSystemLook {
  const sizes = sizesOf(df);
  const byXfs = { 'reflink=1': 'yes', 'reflink=0': 'no' } as const;
  const reflink = mount.fileSystem === 'btrfs' ? 'yes' : mount.fileSystem === 'xfs' ? (byXfs[xfs.trim() as keyof typeof byXfs] ?? 'unknown') : ['ext4', 'ext3', 'tmpfs'].includes(mount.fileSystem) ? 'no' : 'unknown';
  return { kind: mount.fileSystem, mountPoint: mount.mountPoint, device: mount.source, readOnly: mount.readOnly, freeBytes: sizes?.freeBytes ?? null, totalBytes: sizes?.totalBytes ?? null, reflink };
}

function notesOf(facts: Facts, file: FileOptions, lock: string | undefined): string[] {
  const config = facts.get('config');
  return [
    ...(config !== undefined && (facts.get('configtext') ?? '') === '' ? [`the configuration file ${config} could not be read`] : []),
    ...(file.problem === null ? [] : [file.problem]),
    ...file.expanded.map((name) => (name === '' ? 'the whole configuration is made when mongod starts' : `${name} is made when mongod starts (__exec or __rest)`)),
    ...(lock === undefined ? ['its open files could not be seen: data directory and port are those of its options'] : []),
    ...((facts.get('version') ?? '') === '' ? ['its binary did not tell its version'] : []),
  ];
}
