/** Everything that makes a copy impossible or pointless, found before anything changes. */
import { statfs } from 'node:fs/promises';
import type { Document, MongoClient } from 'mongodb';
import { hostLabel, labelOfClient, runCommand, type HostAndPort } from './connect.ts';
import { engineUnsupported, fileSystemFull, isArbiter, memberUnfit, notInitiated, notOnThisHost, oplogTooShort, standalone, versionUnsupported } from './failures.ts';
import { findLocalMongod, type LocalMongod } from './local-mongod.ts';
import { oplogReach } from './oplog-reach.ts';
import { requireRights, rightsToCopy, rightsToRestore, rolesToRestore } from './rights.ts';

const SUPPORTED = ['6.0', '7.0', '8.0'];

/** Fails unless the member can be copied from this host; answers its mongod. `client` talks to that member alone. */
export async function requireCopySource(client: MongoClient, source: HostAndPort): Promise<LocalMongod> {
  const address = hostLabel(source);
  const hello = await runCommand(client, 'admin', { hello: 1 });
  requireMember(hello, address);
  await requireVersion(client, address);
  await requireRights(client, address, rightsToCopy);
  await requireState(client, hello, address);
  const status = await runCommand(client, 'admin', { serverStatus: 1 });
  const engine = String((status['storageEngine'] as Document | undefined)?.['name'] ?? 'unknown');
  if (engine !== 'wiredTiger') throw engineUnsupported({ address, engine });
  return await requireLocal(source, Number(status['pid']));
}

/** Fails unless the client's user may make, fill, index and rename collections in the databases of these namespaces. */
export async function requireRestoreRights(client: MongoClient, namespaces: readonly string[]): Promise<void> {
  const databases = namespaces.map((ns) => ns.slice(0, ns.indexOf('.')));
  await requireRights(client, labelOfClient(client), rightsToRestore(databases), rolesToRestore);
}

function requireMember(hello: Document, address: string): void {
  if (hello['isreplicaset'] === true) throw notInitiated({ address });
  if (hello['setName'] === undefined) throw standalone({ address });
  if (hello['arbiterOnly'] === true) throw isArbiter({ address });
}

export async function requireVersion(client: MongoClient, address: string): Promise<void> {
  const version = String((await runCommand(client, 'admin', { buildInfo: 1 }))['version']);
  if (!isSupported(version)) throw versionUnsupported({ address, version });
}

export function isSupported(version: string): boolean {
  return SUPPORTED.includes(version.split('.').slice(0, 2).join('.'));
}

async function requireState(client: MongoClient, hello: Document, address: string): Promise<void> {
  if (hello['isWritablePrimary'] === true || hello['secondary'] === true) return;
  const status = await runCommand(client, 'admin', { replSetGetStatus: 1 });
  const own = (status['members'] as Document[] | undefined)?.find((member) => member['self'] === true);
  throw memberUnfit({ address, state: String(own?.['stateStr'] ?? 'unknown') });
}

async function requireLocal(source: HostAndPort, reportedPid: number): Promise<LocalMongod> {
  const address = hostLabel(source);
  const local = await findLocalMongod(source);
  if (local === undefined) throw notOnThisHost({ address, why: `no mongod that this process may look at listens on port ${source.port} here` });
  if (local.ownPid === reportedPid) return local;
  throw notOnThisHost({ address, why: `it says that it is process ${reportedPid}, the one that listens on port ${source.port} here is ${local.ownPid}` });
}

/** Fails unless the file system of `path` has room for `needsBytes`, and a twentieth of that to spare. */
export async function requireSpace(path: string, needsBytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const hasBytes = bavail * bsize;
  if (hasBytes < needsBytes * 1.05) throw fileSystemFull({ path, needsBytes: Math.ceil(needsBytes * 1.05), hasBytes, what });
}

/** A locked member falls behind one second each second: its sync source must still have what it missed, three times over. */
export async function requireOplogHeadroom(client: MongoClient, address: string, lockSeconds: number): Promise<void> {
  const { reachSeconds: hasSeconds } = await oplogReach(client);
  if (hasSeconds < lockSeconds * 3) throw oplogTooShort({ address, needsSeconds: lockSeconds * 3, hasSeconds });
}
