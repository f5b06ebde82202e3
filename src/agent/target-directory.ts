/**
 * Data directories that a restore fills: which may be, where their new content is built, whether there is room.
 *
 * A restore builds beside the target (`DIR.tidemark-building`) and puts it in place with renames at the very end
 * (take-places.ts). A target that is a mount point cannot be renamed and its parent is another volume, so there it
 * builds inside (`DIR/.tidemark-building`). A restore killed before the renames leaves the target as it was and a building
 * directory that the next restore into the same target removes.
 *
 * Nothing but a building directory is ever deleted. Only "it does not exist" counts as nothing: what cannot be looked
 * at is refused.
 */
import { lstat, mkdir, readdir, readFile, realpath, rm, stat, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { mountOf, readLink, readText } from '../mongo/process-facts.ts';
import { directoryInUse, directoryNotEmpty, directoryUnusable, portInUse, spaceMissing } from './failures.ts';

export type Target = {
  /** As the order names it. */
  readonly directory: string;
  /** Without symbolic links: what is filled. */
  readonly real: string;
  readonly building: string;
  readonly isMountPoint: boolean;
  readonly holds: 'nothing' | 'a data directory';
};

const besideSuffix = '.tidemark-building';
/** Databases cannot have a dot in their name, so no directory of a database is called like these. */
const insideName = '.tidemark-building';
const insideBefore = 'tidemark.before-';

/** Entries of a mount point that are not the data directory's own. */
export function staysInPlace(name: string): boolean {
  return name === 'lost+found' || name === insideName || name.startsWith(insideBefore);
}

/** Where the old content of a target is kept. */
export function asideOf({ real, isMountPoint }: Target, stamp: string): string {
  return isMountPoint ? join(real, insideBefore + stamp) : `${real}.before-${stamp}`;
}

/** Looks at all places of a restore and refuses; changes nothing. */
export async function inspectTargets(places: readonly { directory: string; port: number }[]): Promise<Target[]> {
  const targets: Target[] = [];
  for (const { directory, port } of places) targets.push(await inspectTarget(directory, port));
  for (const [k, { directory, real }] of targets.entries()) {
    for (const [other, { directory: first, real: taken }] of targets.slice(0, k).entries()) {
      if (real === taken) throw directoryUnusable({ directory, why: `it is the same place as ${first}` });
      if (real.startsWith(taken + sep)) throw directoryUnusable({ directory, why: `it lies inside ${first}` });
      if (taken.startsWith(real + sep)) throw directoryUnusable({ directory, why: `${first} lies inside it` });
      if (places[k]!.port === places[other]!.port) throw directoryUnusable({ directory, why: `its port ${places[k]!.port} is also that of ${first}` });
    }
  }
  return targets;
}

async function inspectTarget(directory: string, port: number): Promise<Target> {
  const unusable = (why: string, cause?: unknown): Error => directoryUnusable({ directory, why }, cause);
  if (!isAbsolute(directory) || resolve(directory) !== directory) throw unusable('it must be an absolute path without "." or "..", double slashes or a slash at its end');
  if (directory === sep) throw unusable('it is the root of the file system');
  if (basename(directory).endsWith(besideSuffix)) throw unusable(`names that end with ${besideSuffix} are for directories under construction`);
  try {
    const real = await realPlace(directory);
    const facts = await unlessMissing(lstat(real));
    if (facts?.isDirectory() === false) throw unusable('it is not a directory');
    const isMountPoint = facts !== undefined && mountOf('self', real)?.mountPoint === real;
    const names = facts === undefined ? [] : (await readdir(real)).filter((name) => !isMountPoint || !staysInPlace(name));
    const isData = names.includes('WiredTiger.turtle') || names.includes('storage.bson');
    if (names.length > 0 && !isData) throw directoryNotEmpty({ directory });
    const pid = await mongodOn(real);
    if (pid !== undefined) throw directoryInUse({ directory, pid });
    if (await answers(port)) throw portInUse({ port });
    const building = isMountPoint ? join(real, insideName) : real + besideSuffix;
    return { directory, real, building, isMountPoint, holds: isData ? 'a data directory' : 'nothing' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw unusable((error as Error).message, error);
  }
}

/** The same places again, just before they are touched: refuses when one is not what was planned with. */
export async function requireUnchanged(targets: readonly Target[], places: readonly { directory: string; port: number }[]): Promise<void> {
  for (const [k, now] of (await inspectTargets(places)).entries()) {
    const planned = targets[k]!;
    const same = now.real === planned.real && now.holds === planned.holds && now.isMountPoint === planned.isMountPoint;
    if (!same) throw directoryUnusable({ directory: now.directory, why: `it held ${planned.holds} when the restore began, and now it is another place or holds ${now.holds}` });
  }
}

/** Refuses when the volumes that are built on cannot hold one copy for each target. Targets on one volume add up. */
export async function requireSpace(targets: readonly Target[], bytesEach: number): Promise<void> {
  const need = new Map<number, { directory: string; bytes: number }>();
  for (const { building } of targets) {
    const parent = await nearestExisting(dirname(building));
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
  await removeBuilding(target);
  await mkdir(target.building, { recursive: true, mode: 0o700 });
}

export async function removeBuilding({ building }: Target): Promise<void> {
  await rm(building, { recursive: true, force: true });
}

/** The path with its symbolic links resolved as far as it exists. */
async function realPlace(directory: string): Promise<string> {
  const missing: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    const real = await unlessMissing(realpath(at));
    if (real !== undefined) return join(real, ...missing);
    missing.unshift(basename(at));
  }
}

export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
}

/** The mongod whose lock file in the directory names a living mongod process. */
export async function mongodOn(directory: string): Promise<number | undefined> {
  const pid = Number.parseInt((await unlessMissing(readFile(join(directory, 'mongod.lock'), 'utf8'))) ?? '', 10);
  if (!Number.isInteger(pid)) return undefined;
  // Without the right to see its program, its name tells.
  const program = readLink(`/proc/${pid}/exe`) ?? readText(`/proc/${pid}/comm`) ?? '';
  return program.includes('mongod') ? pid : undefined;
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolved) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 2_000 });
    const end = (isOpen: boolean) => () => {
      socket.destroy();
      resolved(isOpen);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if ((await unlessMissing(stat(at))) !== undefined) return at;
  }
}
