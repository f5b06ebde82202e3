/**
 * A folder that a service believes: its settings, keys and tokens lie there. On Windows it stands where every user of the machine may
 * make folders, C:\ProgramData, so it is looked at before anything is read from it or written to it.
 *
 *   not there                             ──▶ made, with its rights from the first moment
 *   a link, a file, another's             ──▶ refused, nothing is changed
 *   the system's, and open to others      ──▶ closed, and then looked through: what another has put there, or a link, is a refusal
 *   the system's and closed               ──▶ taken
 *
 * Closed first and looked through then, so that nothing comes in between. What belongs to another is not taken over: whoever owns a folder may
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
  const { owner, isProtected, allowed } = seen.security;
  if (owner === null || !trusted.has(owner)) return { kind: 'refuse', why: `it belongs to ${owner ?? 'nobody'}` };
  return { kind: isProtected && allowed !== null && allowed.every((account) => trusted.has(account)) ? 'ours' : 'close' };
}

const isWindows = process.platform === 'win32';
/** Of files with a mode: their group and everybody. */
const others = 'others';
const root = '0';

function securityAt(path: string, stats: Stats): Security {
  if (isWindows) return securityOf(path);
  return { owner: String(stats.uid), isProtected: true, allowed: (stats.mode & 0o077) === 0 ? [] : [others] };
}

function see(path: string): { seen: FolderSeen; owner: string | null } {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { seen: { kind: 'nothing' }, owner: null };
  if (stats.isSymbolicLink()) return { seen: { kind: 'link' }, owner: null };
  const security = securityAt(path, stats);
  return { seen: stats.isDirectory() ? { kind: 'folder', security } : { kind: 'file' }, owner: security.owner };
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
  if (verdict.kind !== 'close') return;
  close(path, true);
  closeWithin(path, path, trusted);
}

function closeWithin(folder: string, top: string, trusted: ReadonlySet<string>): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const { seen, owner } = see(path);
    if (seen.kind === 'nothing') continue;
    if (seen.kind === 'link') throw folderNotOurs({ folder: top, why: `${path} is a link to another place` });
    if (owner === null || !trusted.has(owner)) throw folderNotOurs({ folder: top, why: `${path} belongs to ${owner ?? 'nobody'}` });
    close(path, seen.kind === 'folder');
    if (seen.kind === 'folder') closeWithin(path, top, trusted);
  }
}
