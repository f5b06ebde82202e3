/**
 * Where clones can be made: a directory on the same file system as the files, found by trying.
 *
 * Numbers of devices do not tell (subvolumes of Btrfs differ and can be cloned across), names of file systems neither
 * (XFS may be made without reflinks). So one small file of each volume is really cloned, into the first of: the work
 * directory, the directory beside the data, the data directory itself when it is a mount of its own. mongod does not mind
 * a foreign directory in dbPath, with directoryPerDB or without (tried on 6.0).
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, rm, rmdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { randomId } from '../../base/ids.ts';
import { CLONES, isJournal, type DataDirectory, type SourceFile } from './files.ts';

/** For each volume (its device number): the directory for clones, or null where bytes are copied beside the others. */
export type ClonePlaces = { readonly main: string; readonly byDevice: ReadonlyMap<string, string | null>; readonly copiedBytes: number };

export type FoundPlaces = { readonly kind: 'found'; readonly places: ClonePlaces } | { readonly kind: 'none'; readonly why: string };

/** So much may be copied byte by byte between two looks at the turtle: a journal on a volume of its own. */
const COPIED_MOST = 1 << 30;

export async function findPlaces(data: DataDirectory, files: readonly SourceFile[], workDirectory: string): Promise<FoundPlaces> {
  const byDevice = new Map<string, string | null>();
  const whys: string[] = [];
  for (const [device, root] of volumesOf(data, files)) {
    const sample = files.filter((file) => file.device === device && file.bytes > 0).sort((a, b) => a.bytes - b.bytes)[0];
    const tried = sample === undefined ? { place: null, why: '' } : await tryPlaces(sample.from, [workDirectory, dirname(root), root]);
    byDevice.set(device, tried.place);
    if (tried.place === null) whys.push(tried.why);
  }
  const main = [...byDevice.values()].find((place) => place !== null);
  if (main === undefined || main === null) return { kind: 'none', why: whys[0] ?? 'there is nothing to clone' };
  const copied = files.filter((file) => byDevice.get(file.device) === null);
  const copiedBytes = copied.reduce((sum, file) => sum + file.bytes, 0);
  if (copiedBytes > COPIED_MOST) return { kind: 'none', why: `${mib(copiedBytes)} MiB lie on a volume that cannot be cloned: ${whys[0]}` };
  const space = await roomIn(main, files.reduce((sum, file) => sum + file.bytes, 0), copiedBytes);
  return space === undefined ? { kind: 'found', places: { main, byDevice, copiedBytes } } : { kind: 'none', why: space };
}

/** The top directory of each volume that holds files, as far as dbPath shows it. */
function volumesOf(data: DataDirectory, files: readonly SourceFile[]): Map<string, string> {
  const roots = new Map<string, string>();
  for (const file of files) {
    const parts = file.path.split('/');
    const top = isJournal(file.path) ? data.journal : parts.length === 1 ? data.dbPath : join(data.dbPath, parts[0]!);
    const known = roots.get(file.device);
    if (known === undefined || top.length < known.length) roots.set(file.device, top);
  }
  return roots;
}

async function tryPlaces(sample: string, parents: readonly string[]): Promise<{ place: string | null; why: string }> {
  let why = '';
  for (const parent of parents) {
    const place = join(parent, CLONES);
    const error = await tryClone(sample, place);
    if (error === undefined) return { place, why };
    why = inWords(error, sample);
  }
  return { place: null, why };
}

async function tryClone(sample: string, place: string): Promise<NodeJS.ErrnoException | undefined> {
  const probe = join(place, `probe-${randomId()}`);
  try {
    await mkdir(place, { recursive: true, mode: 0o700 });
    await copyFile(sample, probe, constants.COPYFILE_FICLONE_FORCE);
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  } finally {
    await rm(probe, { force: true }).catch(() => {});
    await rmdir(place).catch(() => {});
  }
}

const NO_REFLINKS = ['ENOTSUP', 'EOPNOTSUPP', 'ENOTTY', 'ENOSYS', 'EINVAL'];
const NO_RIGHT = ['EACCES', 'EPERM', 'EROFS'];

function inWords({ code = '', message }: NodeJS.ErrnoException, sample: string): string {
  const volume = dirname(sample);
  if (NO_REFLINKS.includes(code)) return `the file system of ${volume} has no reflinks`;
  if (NO_RIGHT.includes(code)) return `no right to make a directory on the file system of ${volume} (${code})`;
  if (code === 'EXDEV') return `there is no directory on the file system of ${volume} to clone into`;
  if (code === 'ENOSPC') return `the file system of ${volume} is full`;
  return `cloning a file of ${volume} failed: ${message}`;
}

/**
 * A clone costs nothing at first, and then whatever changes while it exists. A volume that is nearly full is left alone:
 * mongod must never meet a full disk because of us.
 */
async function roomIn(place: string, dataBytes: number, copiedBytes: number): Promise<string | undefined> {
  const { free, total } = await freeBytes(dirname(place));
  const needs = Math.max(64 << 20, Math.min(dataBytes / 20, total / 20)) + copiedBytes;
  return free >= needs ? undefined : `${mib(free)} MiB are free beside the data, a clone wants ${mib(needs)} MiB`;
}

export async function freeBytes(path: string): Promise<{ free: number; total: number }> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free: bavail * bsize, total: blocks * bsize };
}

export function mib(bytes: number): number {
  return Math.ceil(bytes / 1048576);
}
