/**
 * Data directories that a restore fills.
 *
 * A restore builds beside the target (`DIR.tidemark-building`) and touches the target itself with two renames at the
 * very end: what was there goes to `DIR.before-STAMP`, the new one takes its place. A restore killed before that leaves
 * the target as it was and a building directory that the next restore into the same target removes.
 */
import { chown, mkdir, open, readdir, readFile, readlink, rename, rm, stat, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { directoryInUse, directoryNotEmpty, portInUse, spaceMissing } from './failures.ts';

export type Target = { readonly directory: string; readonly building: string; readonly holds: 'nothing' | 'a data directory' };

const beside = '.tidemark-building';

/** Looks and refuses; changes nothing. */
export async function inspectTarget(directory: string, port: number): Promise<Target> {
  const names = await readdir(directory).catch((): string[] => []);
  const isData = names.includes('WiredTiger.turtle') || names.includes('storage.bson');
  if (names.length > 0 && !isData) throw directoryNotEmpty({ directory });
  const pid = await mongodOn(directory);
  if (pid !== undefined) throw directoryInUse({ directory, pid });
  if (await answers(port)) throw portInUse({ port });
  return { directory, building: directory + beside, holds: isData ? 'a data directory' : 'nothing' };
}

/** Refuses when the volumes cannot hold one copy for each directory. Directories on one volume add up. */
export async function requireSpace(targets: readonly Target[], bytesEach: number): Promise<void> {
  const need = new Map<number, { directory: string; bytes: number }>();
  for (const { directory } of targets) {
    const parent = await nearestExisting(directory);
    const { dev } = await stat(parent);
    const sum = need.get(dev) ?? { directory: parent, bytes: 0 };
    need.set(dev, { directory: sum.directory, bytes: sum.bytes + bytesEach });
  }
  for (const { directory, bytes } of need.values()) {
    const { bavail, bsize } = await statfs(directory);
    if (bavail * bsize < bytes) throw spaceMissing({ directory, needBytes: bytes, haveBytes: bavail * bsize });
  }
}

export async function startBuilding(target: Target): Promise<void> {
  await rm(target.building, { recursive: true, force: true });
  await mkdir(target.building, { recursive: true, mode: 0o700 });
}

/** The two renames. Answers where the old directory stands now, if there was one. */
export async function takePlace(target: Target, stamp: string): Promise<string | undefined> {
  const existing = await stat(target.directory).catch(() => undefined);
  const owner = existing ?? (await stat(dirname(target.directory)));
  await giveTo(target.building, owner.uid, owner.gid);
  const aside = target.holds === 'nothing' ? undefined : `${target.directory}.before-${stamp}`;
  if (aside !== undefined) await rename(target.directory, aside);
  else if (existing !== undefined) await rm(target.directory, { recursive: true });
  await rename(target.building, target.directory);
  await syncDirectory(dirname(target.directory));
  return aside;
}

async function giveTo(directory: string, uid: number, gid: number): Promise<void> {
  await chown(directory, uid, gid);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await giveTo(path, uid, gid);
    else await chown(path, uid, gid);
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The mongod whose lock file in the directory names a living mongod process. */
async function mongodOn(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, 'mongod.lock'), 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  if (!Number.isInteger(pid)) return undefined;
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '');
  return program.includes('mongod') ? pid : undefined;
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 2_000 });
    const end = (open: boolean) => () => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if ((await stat(at).catch(() => undefined)) !== undefined) return at;
  }
}
