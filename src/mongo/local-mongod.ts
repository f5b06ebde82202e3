/**
 * The mongod of a member, found on this host.
 *
 * Its open files say where its data is: `WiredTiger.lock` and the journal's log are always open, by their resolved paths,
 * whatever the configuration file, symbolic links and mounts say. So nothing is parsed that mongod parses.
 *
 * That a mongod listens on the right port does not make it the member: another host may use the same port. It is the
 * member when the address belongs to this host, or else when both ways lead to the same process (hello's processId).
 */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { BSON } from 'mongodb';
import { openClient, type HostAndPort } from './connect.ts';
import { innermostPid, listensOn, mountOf, openFiles, ownerOf, processIds, readLink, readText } from './process-facts.ts';

export type StorageOptions = {
  readonly engine: string;
  readonly directoryPerDb: boolean;
  readonly directoryForIndexes: boolean;
  /** Data at rest is encrypted by mongod itself (Enterprise, Percona). */
  readonly encrypted: boolean;
};

export type LocalMongod = {
  readonly pid: number;
  /** The pid that mongod itself reports: another number when it runs in a container. */
  readonly ownPid: number;
  readonly uid: number;
  readonly gid: number;
  readonly args: readonly string[];
  readonly configFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Runs from here; through /proc/PID/root when it is in another mount namespace. */
  readonly binary: string;
  /** Resolved, and readable from this process; through /proc/PID/root when it is in another mount namespace. */
  readonly dbPath: string;
  readonly journalPath: string;
  /** The journal is a link or mount that leads out of dbPath's file system. */
  readonly journalElsewhere: boolean;
  readonly fileSystem: string;
  readonly device: string;
  readonly mountPoint: string;
  readonly storage: StorageOptions;
};

export async function findLocalMongod(address: HostAndPort): Promise<LocalMongod | undefined> {
  const listening = processIds().filter((pid) => looksLikeMongod(pid) && listensOn(pid, address.port));
  if (listening.length === 0) return undefined;
  const here = await isHere(address.host);
  for (const pid of listening) {
    if (!here && !(await isSameProcess(address, pid))) continue;
    const mongod = await describeMongod(pid);
    if (mongod !== undefined) return mongod;
  }
  return undefined;
}

/** Everything about a running mongod; undefined when it holds no data files that we may see. */
export async function describeMongod(pid: number): Promise<LocalMongod | undefined> {
  // The kernel names files from the root that this process sees; a mongod with another root has them below its own.
  const base = readLink(`/proc/${pid}/root`) ?? '/';
  const asItSees = (path: string): string => (base !== '/' && path.startsWith(`${base}/`) ? path.slice(base.length) : path);
  const files = openFiles(pid).map(asItSees);
  const lock = files.find((path) => path.endsWith('/WiredTiger.lock')) ?? files.find((path) => path.endsWith('/mongod.lock'));
  const binary = readLink(`/proc/${pid}/exe`);
  if (lock === undefined || binary === undefined) return undefined;
  const isAmongUs = base === '/' && readLink(`/proc/${pid}/ns/mnt`) === readLink('/proc/self/ns/mnt');
  const root = isAmongUs ? '' : `/proc/${pid}/root`;
  const inside = dirname(lock);
  const journal = files.find((path) => /\/WiredTigerLog\.\d+$/.test(path));
  const journalInside = journal === undefined ? join(inside, 'journal') : dirname(journal);
  const args = (readText(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(1, -1);
  const mount = mountOf(pid, inside);
  return {
    pid,
    ownPid: innermostPid(pid),
    ...ownerOf(pid),
    args,
    configFile: argument(args, 'config') ?? argument(args, 'f'),
    keyFile: argument(args, 'keyFile'),
    binary: root + asItSees(binary.replace(/ \(deleted\)$/, '')),
    dbPath: root + inside,
    journalPath: root + journalInside,
    journalElsewhere: journalInside !== join(inside, 'journal') || mountOf(pid, journalInside)?.device !== mount?.device,
    fileSystem: mount?.fileSystem ?? 'unknown',
    device: mount?.device ?? 'unknown',
    mountPoint: mount?.mountPoint ?? '/',
    storage: await storageOptions(root + inside, args),
  };
}

function looksLikeMongod(pid: number): boolean {
  return basename(readLink(`/proc/${pid}/exe`) ?? '').includes('mongod') || (readText(`/proc/${pid}/comm`) ?? '').startsWith('mongod');
}

/** `--name value`, `--name=value` and `-f value`. */
export function argument(args: readonly string[], name: string): string | undefined {
  const dashed = name.length === 1 ? `-${name}` : `--${name}`;
  const at = args.findIndex((arg) => arg.toLowerCase() === dashed.toLowerCase());
  if (at !== -1) return args[at + 1];
  const joined = args.find((arg) => arg.toLowerCase().startsWith(`${dashed.toLowerCase()}=`));
  return joined?.slice(dashed.length + 1);
}

/** mongod writes them into storage.bson when it makes the directory, and refuses to start with others. */
async function storageOptions(dbPath: string, args: readonly string[]): Promise<StorageOptions> {
  const encrypted = args.some((arg) => /^--enableEncryption/i.test(arg)) || existsSync(join(dbPath, 'key.db')) || existsSync(join(dbPath, 'keystore'));
  try {
    const { storage } = BSON.deserialize(await readFile(join(dbPath, 'storage.bson'))) as { storage?: { engine?: string; options?: Record<string, unknown> } };
    const engine = storage?.engine ?? 'unknown';
    return { engine, directoryPerDb: storage?.options?.['directoryPerDB'] === true, directoryForIndexes: storage?.options?.['directoryForIndexes'] === true, encrypted };
  } catch {
    return { engine: 'unknown', directoryPerDb: false, directoryForIndexes: false, encrypted };
  }
}

/** Whether a name leads to an address of this host. */
async function isHere(host: string): Promise<boolean> {
  const addresses = await lookup(host, { all: true }).catch(() => []);
  const own = new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address)));
  return addresses.some(({ address }) => own.has(address) || address.startsWith('127.') || address === '::1');
}

/** mongod tells every client, signed in or not, a random id of its process. */
async function isSameProcess(address: HostAndPort, pid: number): Promise<boolean> {
  const [there, near] = await Promise.all([processIdAt(address), processIdNear(pid, address.port)]);
  return there !== undefined && there === near;
}

async function processIdNear(pid: number, port: number): Promise<string | undefined> {
  const socket = `/proc/${pid}/root/tmp/mongodb-${port}.sock`;
  if (existsSync(socket)) return await processIdOf({ socket });
  return await processIdAt({ host: '127.0.0.1', port });
}

async function processIdAt(member: HostAndPort): Promise<string | undefined> {
  return await processIdOf({ hosts: [member] });
}

async function processIdOf(address: Parameters<typeof openClient>[0]): Promise<string | undefined> {
  try {
    await using client = await openClient(address, { deadlineMs: 3_000, undiagnosed: true });
    const hello = (await client.db('admin').command({ hello: 1 })) as { topologyVersion?: { processId?: { toHexString(): string } } };
    return hello.topologyVersion?.processId?.toHexString();
  } catch {
    return undefined;
  }
}
