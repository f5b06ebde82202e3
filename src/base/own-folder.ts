/**
 * A folder that a service believes: its settings, keys and tokens lie there. On Windows it stands where every user of the machine may
 * make folders, C:\ProgramData, so it is looked at before anything is read from it or written to it.
 *
 *   not there                             ──▶ made, with its rights from the first moment
 *   a link, a file, another's             ──▶ refused, nothing is changed
 *   the system's, and open to others      ──▶ closed, and then looked through
 *   the system's and closed               ──▶ looked through: what another has put there, or a link, is a refusal
 *
 * Closed first and looked through then, so that nothing comes in between; and looked through at every start, because what a closed folder has may
 * have come in while it was open: closing it is no word for that. What belongs to another is not taken over: whoever owns a folder may
 * have it open, and may have put into it what cannot be told from ours.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { folderNotOurs } from './failures.ts';
import { administrators, localSystem, rightsFor, type Security } from './security-descriptor.ts';
import { makeFolderWithRights, ownAccount, securityOf, setRights } from './windows-security.ts';

type NoFolder = { readonly kind: 'nothing' | 'link' | 'file' };
export type FolderSeen = NoFolder | { readonly kind: 'folder'; readonly security: Security };
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
  return allowed === null || allowed.some((account) => !trusted.has(account));
}

const isWindows = process.platform === 'win32';
/** Of files with a mode: their group and everybody. */
const others = 'others';
const root = '0';

function securityAt(path: string, stats: Stats): Security {
  if (isWindows) return securityOf(path);
  return { owner: String(stats.uid), isProtected: true, allowed: (stats.mode & 0o077) === 0 ? [] : [others] };
}

function see(path: string): { seen: FolderSeen; security?: Security } {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { seen: { kind: 'nothing' } };
  if (stats.isSymbolicLink()) return { seen: { kind: 'link' } };
  const security = unlessGone(() => securityAt(path, stats));
  if (security === undefined) return { seen: { kind: 'nothing' } };
  return { seen: stats.isDirectory() ? { kind: 'folder', security } : { kind: 'file' }, security };
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
  let verdict = judgeFolder(see(path).seen, trusted);
  if (verdict.kind === 'make') {
    try {
      return make(path);
    } catch (error) {
      // Somebody was faster: it is looked at like any other.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      verdict = judgeFolder(see(path).seen, trusted);
    }
  }
  if (verdict.kind === 'refuse') throw folderNotOurs({ folder: path, why: verdict.why });
  if (verdict.kind === 'close') close(path, true);
  lookThrough(path, path, trusted);
}

function lookThrough(folder: string, top: string, trusted: ReadonlySet<string>): void {
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const { seen, security } = see(path);
    if (seen.kind === 'nothing') continue;
    if (seen.kind === 'link') throw folderNotOurs({ folder: top, why: `${path} is a link to another place` });
    const owner = security?.owner ?? null;
    if (owner === null || !trusted.has(owner)) throw folderNotOurs({ folder: top, why: `${path} belongs to ${owner ?? 'nobody'}` });
    if (isOpen(security!, trusted)) close(path, seen.kind === 'folder');
    if (seen.kind === 'folder') lookThrough(path, top, trusted);
  }
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
