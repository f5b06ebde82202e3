/**
 * The end of a restore: what was built takes the place of what was there.
 *
 *   beside         rename DIR to DIR.before-STAMP, rename DIR.tidemark-building to DIR. The second rename replaces an
 *                  empty directory and no other.
 *   mount point    rename each entry of DIR into DIR/tidemark.before-STAMP, then each of DIR/.tidemark-building into DIR.
 *                  What mongod knows a data directory by goes last both times, so one that is started on half of either
 *                  fails or finds nothing.
 *
 * All steps are known before the first is made, and whether one was made is told by its two ends, so they can be undone
 * by another process after a kill (restore-journal.ts).
 *
 * Promise: nothing is deleted, and when a rename fails, all that were done are undone, those of other targets too; what
 * cannot be undone is named. A restore killed in the middle leaves every old file where it was or in `…before-STAMP`.
 */
import { chown, lstat, mkdir, readdir, rename, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../base/whole-file.ts';
import { placesNotTaken } from './failures.ts';
import { asideOf, staysInPlace, unlessMissing, type Target } from './target-directory.ts';

/** `inode` is that of what is moved, `replaces` the empty directory that a move puts out of the way. */
export type Step =
  | { readonly kind: 'move'; readonly from: string; readonly to: string; readonly inode: number; readonly replaces?: { readonly mode: number; readonly uid: number; readonly gid: number } }
  | { readonly kind: 'make'; readonly directory: string; readonly uid: number; readonly gid: number }
  | { readonly kind: 'sync'; readonly directory: string };

export type Places = { readonly steps: readonly Step[]; /** Where the old content will stand, for each target that has any. */ readonly aside: readonly string[] };

/** Answers where the old content stands now, for each target that had any. */
export async function takePlaces(targets: readonly Target[], stamp: string): Promise<readonly string[]> {
  const places = await planPlaces(targets, stamp);
  await makeSteps(targets, places);
  return places.aside;
}

export async function planPlaces(targets: readonly Target[], stamp: string): Promise<Places> {
  const planned = await Promise.all(targets.map(async (target) => await (target.isMountPoint ? swapInside(target, stamp) : swapBeside(target, stamp))));
  return { steps: planned.flatMap(({ steps }) => steps), aside: planned.flatMap(({ aside }) => aside ?? []) };
}

export async function makeSteps(targets: readonly Target[], { steps }: Places): Promise<void> {
  try {
    for (const target of targets) await giveToOwner(target);
    for (const step of steps) await make(step);
  } catch (error) {
    throw placesNotTaken({ why: (error as Error).message, stuck: await undoSteps(steps) }, error);
  }
  for (const { isMountPoint, building } of targets) {
    if (isMountPoint) await rmdir(building).catch(() => {
      // Empty, and the next restore into the same target removes it.
    });
  }
}

/** Undoes what was done of the steps, and names what could not be undone. May be done again. */
export async function undoSteps(steps: readonly Step[]): Promise<string[]> {
  const stuck: string[] = [];
  const attempt = async (says: string, work: Promise<unknown>): Promise<void> => void (await work.catch((why: Error) => stuck.push(`${says} (${why.message})`)));
  for (const step of steps.toReversed()) {
    if (step.kind === 'move') await attempt(`what was ${step.from} is ${step.to}`, moveBack(step));
    else if (step.kind === 'make') await attempt(`${step.directory} is there`, unlessMissing(rmdir(step.directory)));
  }
  for (const step of steps) if (step.kind === 'sync') await attempt(`${step.directory} is not on disk`, unlessMissing(syncDirectory(step.directory)));
  return stuck;
}

type Swap = { readonly steps: Step[]; readonly aside: string | undefined };

async function swapBeside(target: Target, stamp: string): Promise<Swap> {
  const { real, building } = target;
  const empty = target.holds === 'nothing' ? await unlessMissing(lstat(real)) : undefined;
  const aside = target.holds === 'nothing' ? undefined : asideOf(target, stamp);
  const steps: Step[] = aside === undefined ? [] : [await moving(real, aside)];
  const replaces = empty === undefined ? {} : { replaces: { mode: empty.mode, uid: empty.uid, gid: empty.gid } };
  steps.push({ ...(await moving(building, real)), ...replaces }, { kind: 'sync', directory: dirname(real) });
  return { steps, aside };
}

async function swapInside(target: Target, stamp: string): Promise<Swap> {
  const { real, building } = target;
  const steps: Step[] = [];
  const old = (await readdir(real)).filter((name) => !staysInPlace(name));
  const aside = old.length === 0 ? undefined : asideOf(target, stamp);
  if (aside !== undefined) {
    const { uid, gid } = await stat(real);
    steps.push({ kind: 'make', directory: aside, uid, gid });
    for (const name of knownLast(old)) steps.push(await moving(join(real, name), join(aside, name)));
    steps.push({ kind: 'sync', directory: aside });
  }
  for (const name of knownLast(await readdir(building))) steps.push(await moving(join(building, name), join(real, name)));
  return { steps: [...steps, { kind: 'sync', directory: real }], aside };
}

async function moving(from: string, to: string): Promise<Extract<Step, { kind: 'move' }>> {
  return { kind: 'move', from, to, inode: (await lstat(from)).ino };
}

function knownLast(names: readonly string[]): string[] {
  const knows = (name: string): boolean => name === 'storage.bson' || name === 'WiredTiger.turtle';
  return [...names.filter((name) => !knows(name)), ...names.filter(knows)];
}

async function make(step: Step): Promise<void> {
  if (step.kind === 'sync') return await syncDirectory(step.directory);
  if (step.kind === 'move') return await rename(step.from, step.to);
  await mkdir(step.directory, { mode: 0o700 });
  await chown(step.directory, step.uid, step.gid);
}

/** All of `from` were there when the steps were planned: what is missing was moved, and what stands at its new place must be it. */
async function moveBack({ from, to, inode, replaces }: Extract<Step, { kind: 'move' }>): Promise<void> {
  const moved = (await unlessMissing(lstat(from))) === undefined ? await unlessMissing(lstat(to)) : undefined;
  if (moved !== undefined && moved.ino !== inode) throw new Error('another one stands there now');
  if (moved !== undefined) {
    // The building directory of a mount point was removed when it was empty.
    await mkdir(dirname(from), { recursive: true, mode: 0o700 });
    await rename(to, from);
  }
  if (replaces === undefined || (await unlessMissing(lstat(to))) !== undefined) return;
  await mkdir(to, { mode: replaces.mode });
  await chown(to, replaces.uid, replaces.gid);
}

/** mongod runs as whoever owns the directory; a new one belongs to the owner of its parent. */
async function giveToOwner({ real, building }: Target): Promise<void> {
  const { uid, gid } = (await unlessMissing(stat(real))) ?? (await stat(dirname(real)));
  await giveTo(building, uid, gid);
}

async function giveTo(directory: string, uid: number, gid: number): Promise<void> {
  await chown(directory, uid, gid);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await giveTo(path, uid, gid);
    else await chown(path, uid, gid);
  }
}
