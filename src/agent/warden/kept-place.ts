/**
 * One directory in the warden's care: its files are locked and unlocked here and nowhere else.
 *
 *   landed ──ledger, flag, nobody writes it──▶ locked ──its time, by the warden──▶ lifted ──its holder──▶ deleted
 *     └── killed in between: the next round finds it in no ledger, and locks it for the repository's days
 *
 * Who asks is not trusted. Names are judged by their text and opened below the place without following a link; only
 * ordinary files of the holder are locked. The folders on the way become root's, with the sticky bit: in them the holder can make
 * new things and delete its own, and can rename or remove no folder that has locked files in it.
 *
 * One name that is not as it should be (put back by root, a link, a pipe, a folder that cannot be read) is told, and every
 * other name is served (place-sight.ts).
 */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, lstatSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isFailure } from '../../base/failure.ts';
import { isImmutableFile, isOpenForWriting, openBeneath, setImmutableFile } from '../../base/native.ts';
import { lockNotKept, objectMissing, storageFailed } from '../../repository/failures.ts';
import { dayMs, readImmutable } from '../../repository/immutable.ts';
import { descriptorNames, isKept } from '../../repository/object-names.ts';
import { gone, lifted, openLedger, type Ledger, type LedgerChange } from './ledger.ts';
import { lookBelow, note, objectName, readBeneath, type Amiss } from './place-sight.ts';

/** As it was adopted: who writes there. */
export type AdoptedPlace = { readonly path: string; readonly uid: number; readonly gid: number };

export type KeptPlace = {
  readonly path: string;
  readonly seenMs: number;
  retain(names: readonly string[], times: { nowMs: number; leastMs: number; forMs: number }): Promise<number[]>;
  /** In kept time; null: not locked. */
  until(names: readonly string[], nowMs: number): (number | null)[];
  /** Lifts what is over and, where it is `whole`, locks what a kill left unlocked. Answers how many of each. */
  round(nowMs: number, whole: boolean): Promise<{ lifted: number; locked: number }>;
  /** What the last rounds could not do, by name. */
  amiss(): ReadonlyMap<string, string>;
  close(): Promise<void>;
};

const folderMode = 0o1770;
const own = '.warden';

/** Takes a directory into care: it and its ledger become root's. Refuses what could not be kept. */
export function adoptPlace(path: string): AdoptedPlace {
  const { uid, gid } = statSync(path);
  const before = uid === 0 ? readOwner(path) : { uid, gid };
  requireSafeWay(path, before);
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const { mode } = fstatSync(folder);
  try {
    // First: in a folder of root's with the sticky bit nobody puts another one in the place of what is looked at below.
    fchownSync(folder, 0, before.gid);
    fchmodSync(folder, folderMode);
    if (lstatSync(join(path, own), { throwIfNoEntry: false }) === undefined) mkdirSync(join(path, own), { mode: 0o700 });
    requireOwn(path);
    requireFlag(path);
  } catch (error) {
    fchownSync(folder, uid, gid);
    fchmodSync(folder, mode & 0o7777);
    throw error;
  } finally {
    closeSync(folder);
  }
  return { path, ...before };
}

/** What the writer made before the adoption, or put a link to, would be his to change. */
function requireOwn(path: string): void {
  const folder = lstatSync(join(path, own));
  const ledger = lstatSync(join(path, own, 'ledger'), { throwIfNoEntry: false });
  const what = 'is not root\'s alone; look at it, and remove it as root if it is not a warden\'s';
  if (!folder.isDirectory() || folder.uid !== 0 || (folder.mode & 0o7777) !== 0o700) throw lockNotKept({ place: path, what: `${own} in it ${what}` });
  if (ledger === undefined) return;
  if (!ledger.isFile() || ledger.uid !== 0 || ledger.nlink !== 1 || (ledger.mode & 0o7077) !== 0) throw lockNotKept({ place: path, what: `${own}/ledger in it ${what}` });
}

/** Of a place that was adopted before: its files tell whose it is. */
function readOwner(path: string): { uid: number; gid: number } {
  const found = lstatSync(join(path, '.tmp'), { throwIfNoEntry: false });
  if (found?.isDirectory() !== true || found.uid === 0) throw lockNotKept({ place: path, what: 'root writes there, and root can lift every lock; give the folder to the transport\'s user (chown tidemark:)' });
  return { uid: found.uid, gid: found.gid };
}

/** Whoever can rename a folder above the place can put another one there. */
function requireSafeWay(path: string, { uid, gid }: { uid: number; gid: number }): void {
  for (let above = dirname(path); ; above = dirname(above)) {
    const { mode, uid: owner, gid: group } = statSync(above);
    const isSticky = (mode & 0o1000) !== 0;
    const isWritable = owner === uid || (!isSticky && ((mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && group === gid)));
    if (isWritable) throw lockNotKept({ place: path, what: `the user who writes there can also rename what is in ${above}` });
    if (above === dirname(above)) return;
  }
}

/** Shows that a locked file withstands root's own unlink. */
export function requireFlag(path: string): void {
  const trial = join(path, own, 'trial');
  removeTrial(trial);
  const fd = openSync(trial, constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_RDWR, 0o600);
  try {
    writeSync(fd, 'trial');
    setImmutableFile(fd, true);
    if (!isImmutableFile(fd) || isRemoved(trial)) throw lockNotKept({ place: path, what: 'its file system takes the immutable flag and deletes the file all the same' });
    setImmutableFile(fd, false);
  } catch (error) {
    if (isFailure(error, lockNotKept)) throw error;
    throw lockNotKept({ place: path, what: `its file system has no immutable flag (${(error as Error).message})` }, error);
  } finally {
    closeSync(fd);
    rmSync(trial, { force: true });
  }
}

/** Of a kill, locked perhaps. */
function removeTrial(trial: string): void {
  if (lstatSync(trial, { throwIfNoEntry: false })?.isFile() === true) {
    const fd = openSync(trial, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      if (isImmutableFile(fd)) setImmutableFile(fd, false);
    } finally {
      closeSync(fd);
    }
  }
  rmSync(trial, { force: true });
}

function isRemoved(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch {
    return false;
  }
}

export async function openKeptPlace(place: AdoptedPlace): Promise<KeptPlace> {
  const { path, uid, gid } = place;
  requireOwn(path);
  const ledger: Ledger = await openLedger(join(path, own, 'ledger'));
  const root = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const held = new Set<string>();
  /** Flagged since this start, and nobody had it open for writing then. A ledger alone does not tell that. */
  const checked = new Set<string>();

  const holdFolders = (object: string): void => {
    for (let folder = dirname(object); folder !== '.' && !held.has(folder); folder = dirname(folder)) {
      const fd = openBeneath(root, folder);
      if (fd < 0) throw objectMissing({ object, place: path });
      try {
        const found = fstatSync(fd);
        if (found.uid !== 0 || found.gid !== gid || (found.mode & 0o7777) !== folderMode) {
          fchownSync(fd, 0, gid);
          fchmodSync(fd, folderMode);
        }
      } finally {
        closeSync(fd);
      }
      held.add(folder);
    }
  };

  /** Works with a file of the holder; undefined where there is none of that name. */
  const withFile = <T>(object: string, work: (fd: number) => T): T | undefined => {
    if (!objectName.test(object)) throw storageFailed({ place: path, object, why: 'it is not the name of an object' });
    const fd = openBeneath(root, object);
    if (fd < 0) return undefined;
    try {
      const found = fstatSync(fd);
      if (!found.isFile() || found.uid !== uid) throw storageFailed({ place: path, object, why: 'it is not a file of the user who writes there' });
      return work(fd);
    } finally {
      closeSync(fd);
    }
  };

  const flag = (object: string): void => {
    checked.delete(object);
    holdFolders(object);
    const isWritten = withFile(object, (fd) => {
      setImmutableFile(fd, true);
      return isOpenForWriting(fd);
    });
    if (isWritten === undefined) throw objectMissing({ object, place: path });
    if (isWritten) throw storageFailed({ place: path, object, why: 'somebody has it open for writing while it is locked' });
    checked.add(object);
  };

  const retain: KeptPlace['retain'] = async (names, { nowMs, leastMs, forMs }) => {
    const changes: LedgerChange[] = [];
    const fresh: string[] = [];
    for (const object of names) {
      const untilMs = ledger.entries.get(object) ?? lifted;
      const isLocked = untilMs > nowMs && checked.has(object);
      if (!isLocked) {
        if (withFile(object, () => true) === undefined) throw objectMissing({ object, place: path });
        fresh.push(object);
      }
      if (untilMs <= nowMs || untilMs < nowMs + leastMs) changes.push({ name: object, untilMs: Math.max(untilMs, nowMs + forMs) });
    }
    await ledger.write(changes, nowMs);
    for (const object of fresh) flag(object);
    return names.map((object) => ledger.entries.get(object)!);
  };

  /** Of each round, and of the last whole one. */
  let [unlifted, unlocked]: [Amiss, Amiss] = [new Map(), new Map()];

  const liftOver = async (nowMs: number): Promise<number> => {
    const over = [...ledger.entries].filter(([, untilMs]) => untilMs !== lifted && untilMs <= nowMs).map(([object]) => object);
    const changes: LedgerChange[] = [];
    unlifted = new Map();
    for (const object of over) {
      checked.delete(object);
      try {
        const found = withFile(object, (fd) => setImmutableFile(fd, false) ?? true);
        changes.push({ name: object, untilMs: found === undefined ? gone : lifted });
      } catch (error) {
        // It stays in the ledger: the next round tries again.
        note(unlifted, object, error);
      }
    }
    await ledger.write(changes, nowMs);
    return changes.length;
  };

  /** What a kill left between its name and its lock, and between the ledger and the flag. Answers how many of the first. */
  const lockLeft = async (nowMs: number): Promise<number> => {
    const amiss: Amiss = new Map();
    unlocked = amiss;
    const { files, closed } = await lookBelow(root, '', amiss);
    const isKnown = (object: string): boolean => files.has(object) || closed.some((folder) => folder === '' || object.startsWith(`${folder}/`));
    await ledger.write([...ledger.entries].filter(([object, untilMs]) => untilMs === lifted && !isKnown(object)).map(([object]) => ({ name: object, untilMs: gone })), nowMs);
    const days = (await readImmutable(filesOf(root, place, amiss)))?.days;
    const isLocked = [...ledger.entries.values()].some((untilMs) => untilMs > nowMs);
    if (days === undefined && isLocked) note(amiss, descriptorNames[0], 'neither it nor its copy tells for how long; what a kill leaves is not locked');
    const left = days === undefined ? [] : [...files].filter((object) => isKept(object) && !ledger.entries.has(object) && isHolders(object, amiss));
    await ledger.write(left.map((object) => ({ name: object, untilMs: nowMs + days! * dayMs })), nowMs);
    for (const [object, untilMs] of ledger.entries) {
      if (untilMs <= nowMs) continue;
      try {
        flag(object);
      } catch (error) {
        // It is not among the checked ones now: the next retain tries again, and tells whoever asks.
        note(amiss, object, error);
      }
    }
    return left.length;
  };

  const isHolders = (object: string, amiss: Amiss): boolean => {
    try {
      return withFile(object, () => true) === true;
    } catch (error) {
      note(amiss, object, error);
      return false;
    }
  };

  return {
    path,
    get seenMs() {
      return ledger.seenMs;
    },
    retain,
    until: (names, nowMs) =>
      names.map((object) => {
        const untilMs = ledger.entries.get(object) ?? lifted;
        return untilMs > nowMs ? untilMs : null;
      }),
    round: async (nowMs, whole) => ({ lifted: await liftOver(nowMs), locked: whole ? await lockLeft(nowMs) : 0 }),
    amiss: () => new Map([...unlocked, ...unlifted]),
    async close() {
      closeSync(root);
      await ledger.close();
    },
  };
}

/** As much of a storage as its descriptor needs. */
function filesOf(root: number, { path, uid }: AdoptedPlace, amiss: Amiss): Parameters<typeof readImmutable>[0] {
  return {
    async read(object) {
      try {
        const bytes = readBeneath(root, object, uid);
        if (bytes !== undefined) return await Promise.resolve(bytes);
      } catch (error) {
        note(amiss, object, error);
      }
      throw objectMissing({ object, place: path });
    },
    async *list(prefix) {
      const { files } = await lookBelow(root, prefix.replace(/\/$/, ''), amiss);
      for (const object of files) yield { name: object, bytes: 0, modifiedMs: 0 };
    },
  };
}
