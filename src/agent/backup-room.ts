/**
 * Room for a backup, looked at before anything is touched.
 *
 * How much a backup will store is known only afterwards, so these are least amounts: less than them and it would fail
 * half-way, and the oplog, which goes to the same repository, with it. Clones are asked for room beside the data by
 * mongo/copy/clone-places.ts, because only what changes while they exist costs space.
 */
import type { MongoClient } from 'mongodb';
import { listFiles, openDataDirectory } from '../mongo/copy/files.ts';
import { lookAtMember } from '../mongo/copy/member.ts';
import type { LocalMongod } from '../mongo/local-mongod.ts';
import { requireSpace } from '../mongo/refusals.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { repositoryFull } from './failures.ts';

/** Records of clones and locks, sockets, logs of the proof's mongod. */
const workBytes = 64 << 20;
/** A pack that is filled and one that is written. */
const packsBytes = 128 << 20;

export async function requireBackupRoom(storage: Pick<Storage, 'place' | 'freeBytes'>, workDirectory: string, dataBytes: number, isFirst: boolean): Promise<void> {
  await requireSpace(workDirectory, workBytes, 'a backup');
  const haveBytes = await storage.freeBytes();
  const needBytes = Math.max(packsBytes, Math.ceil(dataBytes / (isFirst ? 4 : 50)));
  if (haveBytes === null || haveBytes >= needBytes) return;
  const rule = `${isFirst ? 'a quarter of the data for the first restore point' : 'a fiftieth of the data'}, and at least two packs of 64 MiB`;
  throw repositoryFull({ place: storage.place, dataBytes, needBytes, haveBytes, rule });
}

/** Bytes of a member's files, as a copy would read them. */
export async function dataBytesOf(client: MongoClient, local: LocalMongod): Promise<number> {
  const { except } = await lookAtMember(client);
  const files = await listFiles(await openDataDirectory(local, except), { underLock: false });
  return files.reduce((sum, file) => sum + file.bytes, 0);
}
