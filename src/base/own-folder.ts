/**
 * A folder that a service believes: its settings, keys and tokens lie there. On Windows it stands where every user of the machine may
 * make folders, C:\ProgramData, so it is looked at before anything is read from it or written to it.
 *
 *   not there                             ──▶ made, with its rights from the first moment
 *   a link, a file, another's             ──▶ refused, nothing is changed
 *   the system's, and open to others      ──▶ closed, and then looked through
 *   the system's and closed               ──▶ looked through: what another has put there or could have changed, or a link, is a refusal
 *
 * Closed first and looked through then, so that nothing comes in between; and looked through at every start, because what a closed folder has may
 * have come in while it was open: closing it is no word for that. What belongs to another is not taken over: whoever owns a folder may
 * have it open, and may have put into it what cannot be told from ours. Nor is an owner who is ours a word for what lies in an open folder: a file of the
 * system that another may change can be moved there, or get a second name there.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { folderNotOurs } from './failures.ts';
import { administrators, localSystem, mayChange, READ, rightsFor, WRITE, type Security } from './security-descriptor.ts';
import { makeFolderWithRights, ownAccount, securityOf, setRights } from './windows-security.ts';

type NoFolder = { readonly kind: 'nothing' | 'link' | 'file' };
export type FolderSeen = NoFolder | { readonly kind: 'folder'; readonly security: Security };
type EntrySeen = { readonly kind: 'link' } | { readonly kind: 'file' | 'folder'; readonly security: Security; /** How many names the file has. */ readonly names: number };
export type FolderVerdict = { readonly kind: 'make' | 'ours' | 'close' } | { readonly kind: 'refuse'; readonly why: string };

export function judgeFolder(seen: FolderSeen, trusted: ReadonlySet<string>): FolderVerdict {
  if (seen.kind === 'nothing') return { kind: 'make' };
  if (seen.kind !== 'folder') return { kind: 'refuse', why: seen.kind === 'link' ? 'it is a link to another place' : 'it is a file' };
  const { owner, isProtected } = seen.security;
  if (owner === null || !trusted.has(owner)) return { kind: 'refuse', why: `it belongs to ${owner ?? 'nobody'}` };
  return { kind: isProtected && !isOpen(seen.security, trusted) ? 'ours' : 'close' };
}

/** Somebody else may do something with it. */
function isOpen({ allowed }: Security, trusted: ReadonlySet<string>): boolean {
  return allowed === null || allowed.some(({ account }) => !trusted.has(account));
}

function changers({ allowed }: Security, trusted: ReadonlySet<string>): string[] {
  return allowed === null ? ['everybody'] : allowed.filter((one) => !trusted.has(one.account) && mayChange(one)).map(({ account }) => account);
}

/** Of what lies in the folder, before anything is done about it. */
export function whyNotBelieved(entry: EntrySeen, trusted: ReadonlySet<string>): string | undefined {
  if (entry.kind === 'link') return 'is a link to another place';
  const { kind, security, names } = entry;
  const { owner } = security;
  if (owner === null || !trusted.has(owner)) return `belongs to ${owner ?? 'nobody'}`;
  if (kind === 'file' && names > 1) return `has ${names} names, and who may change it by another one is not known`;
  const changing = changers(security, trusted);
  return changing.length === 0 ? undefined : `could be changed by ${changing.join(', ')}`;
}

const isWindows = process.platform === 'win32';
/** Of files with a mode: their group and everybody. */
const others = 'others';
const root = '0';

function securityAt(path: string, stats: Stats): Security {
  if (isWindows) return securityOf(path);
  return { owner: String(stats.uid), isProtected: true, allowed: (stats.mode & 0o077) === 0 ? [] : [{ account: others, mask: (stats.mode & 0o022) === 0 ? READ : WRITE }] };
}

function entryAt(path: string): EntrySeen | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.isSymbolicLink()) return { kind: 'link' };
  const security = unlessGone(() => securityAt(path, stats));
  return security === undefined ? undefined : { kind: stats.isDirectory() ? 'folder' : 'file', security, names: stats.nlink };
}

function see(path: string): FolderSeen {
  const entry = entryAt(path);
  if (entry === undefined) return { kind: 'nothing' };
  return entry.kind === 'folder' ? entry : { kind: entry.kind };
}

function trustedHere(): ReadonlySet<string> {
  return new Set(isWindows ? [localSystem, administrators, ownAccount()] : [root, String(process.getuid?.())]);
}

function make(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (isWindows) makeFolderWithRights(path, rightsFor([localSystem, administrators]));
  else mkdirSync(path, { mode: 0o700 });
}

function close(path: string, isFolder: boolean): void {
  if (isWindows) setRights(path, rightsFor([localSystem, administrators]));
  else chmodSync(path, isFolder ? 0o700 : 0o600);
}

/** The folder is the system's and administrators' alone when it returns; `base.folder-not-ours` where it cannot be believed. */
export function claimFolder(path: string): void {
  const trusted = trustedHere();
  let verdict = judgeFolder(see(path), trusted);
  if (verdict.kind === 'make') {
    try {
      return make(path);
    } catch (error) {
      // Somebody was faster: it is looked at like any other.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      verdict = judgeFolder(see(path), trusted);
    }
  }
  if (verdict.kind === 'refuse') throw folderNotOurs({ folder: path, why: verdict.why });
  if (verdict.kind === 'close') close(path, true);
  // What a file's rights were tells who could have written it: nothing is closed before everything is believed, or the next start would not know.
  for (const file of lookThrough(path, path, trusted)) unlessGone(() => close(file, false));
}

/** Files that others may still read. Folders are closed before they are looked through, once they are believed themselves. */
function lookThrough(folder: string, top: string, trusted: ReadonlySet<string>): string[] {
  return namesIn(folder).flatMap((name) => {
    const path = join(folder, name);
    const entry = entryAt(path);
    if (entry === undefined) return [];
    const why = whyNotBelieved(entry, trusted);
    if (entry.kind === 'link' || why !== undefined) throw folderNotOurs({ folder: top, why: `${path} ${why}` });
    const isClosed = !isOpen(entry.security, trusted);
    if (entry.kind === 'file') return isClosed ? [] : [path];
    if (!isClosed) unlessGone(() => close(path, true));
    return lookThrough(path, top, trusted);
  });
}

/** Other services of ours work in it: what they have taken away in between is not there. */
function namesIn(folder: string): string[] {
  return unlessGone(() => readdirSync(folder)) ?? [];
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
