/**
 * The end of a restore: what was built takes the place of what was there.
 *
 *   beside         rename DIR to DIR.before-STAMP, rename DIR.tidemark-building to DIR. The second rename replaces an
 *                  empty directory and no other.
 *   mount point    rename each entry of DIR into DIR/tidemark.before-STAMP, then each of DIR/.tidemark-building into DIR.
 *                  What mongod knows a data directory by goes last both times, so one that is started on half of either
 *                  fails or finds nothing.
 *
 * Promise: nothing is deleted, and when a rename fails, all that were done are undone, those of other targets too; what
 * cannot be undone is named. A restore killed in the middle leaves every old file where it was or in `…before-STAMP`.
 */
import { chown, lstat, mkdir, readdir, rename, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { placesNotTaken } from './failures.ts';
import { asideOf, staysInPlace, syncDirectory, unlessMissing, type Target } from './target-directory.ts';

type Undo = { readonly says: string; run(): Promise<unknown> };

/** Answers where the old content stands now, for each target that had any. */
export async function takePlaces(targets: readonly Target[], stamp: string): Promise<string[]> {
  for (const target of targets) await giveToOwner(target);
  const done: Undo[] = [];
  const aside: string[] = [];
  try {
    for (const target of targets) {
      const old = await (target.isMountPoint ? swapInside(target, stamp, done) : swapBeside(target, stamp, done));
      if (old !== undefined) aside.push(old);
    }
  } catch (error) {
    const stuck: string[] = [];
    for (const { says, run } of done.reverse()) await run().catch((why: Error) => stuck.push(`${says} (${why.message})`));
    throw placesNotTaken({ why: (error as Error).message, stuck }, error);
  }
  for (const { isMountPoint, building } of targets) {
    if (isMountPoint) await rmdir(building).catch(() => {
      // Empty, and the next restore into the same target removes it.
    });
  }
  return aside;
}

async function swapBeside(target: Target, stamp: string, done: Undo[]): Promise<string | undefined> {
  const { real, building } = target;
  const empty = target.holds === 'nothing' ? await unlessMissing(lstat(real)) : undefined;
  const aside = target.holds === 'nothing' ? undefined : asideOf(target, stamp);
  if (aside !== undefined) await move(real, aside, done);
  if (empty !== undefined) {
    const remake = async (): Promise<void> => {
      await mkdir(real, { mode: empty.mode });
      await chown(real, empty.uid, empty.gid);
    };
    done.push({ says: `${real} was empty and is gone`, run: async () => ((await unlessMissing(lstat(real))) === undefined ? await remake() : undefined) });
  }
  await move(building, real, done);
  await syncDirectory(dirname(real));
  return aside;
}

async function swapInside(target: Target, stamp: string, done: Undo[]): Promise<string | undefined> {
  const { real, building } = target;
  const old = (await readdir(real)).filter((name) => !staysInPlace(name));
  const aside = old.length === 0 ? undefined : asideOf(target, stamp);
  if (aside !== undefined) {
    await mkdir(aside, { mode: 0o700 });
    done.push({ says: `${aside} is there and empty`, run: async () => await rmdir(aside) });
    const { uid, gid } = await stat(real);
    await chown(aside, uid, gid);
    for (const name of knownLast(old)) await move(join(real, name), join(aside, name), done);
    await syncDirectory(aside);
  }
  for (const name of knownLast(await readdir(building))) await move(join(building, name), join(real, name), done);
  await syncDirectory(real);
  return aside;
}

function knownLast(names: readonly string[]): string[] {
  const knows = (name: string): boolean => name === 'storage.bson' || name === 'WiredTiger.turtle';
  return [...names.filter((name) => !knows(name)), ...names.filter(knows)];
}

async function move(from: string, to: string, done: Undo[]): Promise<void> {
  await rename(from, to);
  done.push({ says: `what was ${from} is ${to}`, run: async () => await rename(to, from) });
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
