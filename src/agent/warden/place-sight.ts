/**
 * What the warden sees of a place. Whoever writes there chooses its names and what stands behind them, so everything is
 * opened beneath the place's own folder, through no link and onto no other file system, and nothing waits: a pipe is opened
 * without waiting for whoever would write into it. One name that cannot be looked at is told, and hides no other.
 */
import { closeSync, fstatSync, readSync, type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { isFailure, sentenceOf } from '../../base/failure.ts';
import { systemCallFailed } from '../../base/failures.ts';
import { openBeneath } from '../../base/native.ts';
import { objectMissing, storageFailed } from '../../repository/failures.ts';
import { isKept } from '../../repository/object-names.ts';

/** Names that are not served, each with why. */
export type Amiss = Map<string, string>;

export type Sight = {
  readonly files: ReadonlySet<string>;
  /** Folders that could not be looked into: what is below them is not known, rather than gone. */
  readonly closed: readonly string[];
};

export const objectName = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;

/** Whoever fills a place with them fills no memory. */
const mostAmiss = 1000;
const descriptorMost = 1 << 20;

/** What was found first stays. */
export function note(amiss: Amiss, object: string, error: unknown): void {
  if (amiss.size < mostAmiss && !amiss.has(object)) amiss.set(object, typeof error === 'string' ? error : whyOf(error));
}

/** One sentence for an alarm: how many, and the first of them. */
export function sentenceOfAmiss(amiss: ReadonlyMap<string, string>): string | undefined {
  if (amiss.size === 0) return undefined;
  const first = [...amiss].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, 3);
  const count = amiss.size === 1 ? '1 name is not as it' : `${amiss.size === mostAmiss ? `${mostAmiss} or more` : amiss.size} names are not as they`;
  return `${count} should be: ${first.map(([object, why]) => `${object} (${why})`).join(', ')}${amiss.size > first.length ? ' and others' : ''}`;
}

/** Every file below `folder`, and what stands where an object that is kept would be and is none. */
export async function lookBelow(root: number, folder: string, amiss: Amiss): Promise<Sight> {
  const [files, closed] = [new Set<string>(), [] as string[]];
  const left = [folder];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    const entries = await entriesOf(root, at).catch((error: unknown) => {
      note(amiss, at === '' ? '.' : at!, error);
      closed.push(at!);
      return [];
    });
    for (const entry of entries) {
      const object = at === '' ? entry.name : `${at}/${entry.name}`;
      if (!objectName.test(object)) continue;
      if (entry.isDirectory()) left.push(object);
      else if (entry.isFile()) files.add(object);
      else if (isKept(object)) note(amiss, object, `it is ${kindOf(entry)}`);
    }
  }
  return { files, closed };
}

async function entriesOf(root: number, folder: string): Promise<Dirent[]> {
  const fd = openBeneath(root, folder === '' ? '.' : folder);
  if (fd < 0) return [];
  try {
    return await readdir(`/proc/self/fd/${fd}/`, { withFileTypes: true });
  } finally {
    closeSync(fd);
  }
}

/** A small file of the writer's, or of root's; undefined where there is none of that name. */
export function readBeneath(root: number, object: string, uid: number): Buffer | undefined {
  const fd = openBeneath(root, object);
  if (fd < 0) return undefined;
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw new Error('it is not a file');
    if (found.uid !== uid && found.uid !== 0) throw new Error('it is another user\'s');
    if (found.size > descriptorMost) throw new Error('it is too large to be one');
    const bytes = Buffer.alloc(found.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

function kindOf(entry: Dirent): string {
  if (entry.isSymbolicLink()) return 'a link';
  if (entry.isFIFO()) return 'a pipe';
  return entry.isSocket() ? 'a socket' : 'a device';
}

function whyOf(error: unknown): string {
  const [ENXIO, EACCES, EXDEV, ELOOP] = [6, 13, 18, 40];
  const says = new Map<unknown, string>([
    [ENXIO, 'it is a socket, or a device that is not there'],
    [EACCES, 'it may not be opened'],
    [EXDEV, 'it lies on another file system'],
    [ELOOP, 'a link is in its way'],
  ]);
  if (isFailure(error, storageFailed)) return String(error.details['why']);
  if (isFailure(error, objectMissing)) return 'it is gone before its time';
  return (isFailure(error, systemCallFailed) ? says.get(error.details['errno']) : undefined) ?? sentenceOf(error);
}
