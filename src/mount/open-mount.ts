/**
 * A restore point as a directory to start a mongod on, by the best way this machine allows:
 *
 *   fuse                     a mount that every process sees; needs /dev/fuse and the right to mount
 *   fuse-in-user-namespace   a mount that only processes started with `wrap` see; needs /dev/fuse and user namespaces
 *   files                    laid down in the work directory: as slow as the point is large, same results
 *
 * A way that the kernel refuses gives way to the next, with a line in the log. Any other failure (a repository that
 * cannot be read, an overlay in use) is the caller's: the next way would meet it too.
 */
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { diskBytes } from './disk-bytes.ts';
import { mountNoWay, mountProcessEnded, mountRefused } from './failures.ts';
import { layDownPoint } from './laid-down.ts';
import { startMountChild, type WaitingMount } from './mount-child.ts';
import { ownMountsBelow } from './mount-table.ts';
import type { AskPace } from '../mover/paces.ts';
import type { OpenSource, SourceAccess } from './point-source.ts';
import { removeStaleMounts } from './stale.ts';
import type { Trouble } from './trouble.ts';

export type MountMode = 'fuse' | 'fuse-in-user-namespace' | 'files';

export type MountOptions = {
  readonly source: SourceAccess;
  /** Holds the mount point and what is thrown away; both are gone after `close`. */
  readonly workDirectory: string;
  /** How to start the mount process: program and first arguments. */
  readonly program: readonly string[];
  /** One that was started before: for the first way. */
  readonly waiting?: WaitingMount;
  /** Keeps the writes here, to be used again with the same point. Default: thrown away at `close`. */
  readonly overlayDirectory?: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly pace?: AskPace | undefined;
  readonly readyMs?: number;
  readonly closeMs?: number;
  /** This way or none. */
  readonly prefer?: MountMode;
  readonly device?: string;
  /** Opens the point in this process, where files are laid down. */
  readonly openSource?: OpenSource;
};

export type Mount = AsyncDisposable & {
  readonly directory: string;
  readonly mode: MountMode;
  /** What goes before a command that is to see the directory; empty where every process does. */
  readonly wrap: readonly string[];
  /** The process that serves the mount. */
  readonly pid: number | undefined;
  /** Rejects with `mount.process-ended` when the mount process ends before `close`. Never resolves. */
  readonly broken: Promise<never>;
  /** Errors that the mount answered: why a mongod on it may have stopped. All of them once it is closed. */
  readonly troubles: readonly Trouble[];
  /** Bytes on disk that the writes take. */
  overlayBytes(): Promise<number>;
  close(): Promise<void>;
};

const modes: readonly MountMode[] = ['fuse', 'fuse-in-user-namespace', 'files'];

export async function openMount(options: MountOptions): Promise<Mount> {
  await mkdir(options.workDirectory, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(await realpath(options.workDirectory), 'mount-'));
  try {
    return await openBest(options, work);
  } catch (error) {
    await removeWork(work, options.log);
    throw error;
  }
}

async function openBest(options: MountOptions, work: string): Promise<Mount> {
  const refusals: string[] = [];
  for (const mode of options.prefer === undefined ? modes : [options.prefer]) {
    options.signal?.throwIfAborted();
    if (mode === 'files') {
      if (refusals.length > 0) options.log.warn('the restore point is laid down as files, which takes longer', { why: refusals.join('; ') });
      return await openFiles(options, work);
    }
    try {
      return await openFuse(options, work, mode);
    } catch (error) {
      // Where user namespaces are forbidden, unshare(1) ends before the mount process begins.
      const refused = isFailure(error, mountRefused) || (mode === 'fuse-in-user-namespace' && isFailure(error, mountProcessEnded));
      if (!refused) throw error;
      refusals.push(`${mode}: ${describe(error)}`);
    }
  }
  throw mountNoWay({ tried: refusals.join('; ') });
}

async function openFuse(options: MountOptions, work: string, mode: 'fuse' | 'fuse-in-user-namespace'): Promise<Mount> {
  const directory = join(work, 'point');
  const overlayDirectory = options.overlayDirectory ?? join(work, 'overlay');
  await mkdir(directory, { recursive: true });
  const inNamespace = mode === 'fuse' ? [] : ['unshare', '--user', '--map-root-user', '--mount', '--propagation', 'private', '--'];
  const job = { source: options.source, mountDirectory: directory, overlayDirectory, throwAway: options.overlayDirectory === undefined, device: options.device };
  const waiting = (mode === 'fuse' ? options.waiting : undefined) ?? startMountChild([...inNamespace, ...options.program], options.log, options.pace);
  const child = await waiting.serve({ job, readyMs: options.readyMs ?? 60_000, signal: options.signal });
  const state = { closing: false };
  const broken = child.ended.then<never>((status) => {
    if (state.closing) return new Promise<never>(() => {});
    options.log.error('the mount process has ended', { status, directory, lastWords: child.lastWords });
    throw mountProcessEnded({ status, lastWords: child.lastWords });
  });
  broken.catch(() => {});
  const close = once(async () => {
    state.closing = true;
    await child.close(options.closeMs ?? 30_000);
    await removeWork(work, options.log);
  });
  return {
    directory,
    mode,
    wrap: mode === 'fuse' ? [] : ['nsenter', '--preserve-credentials', '--user', '--mount', '--target', String(child.pid), '--'],
    pid: child.pid,
    broken,
    troubles: child.troubles,
    overlayBytes: async () => diskBytes(join(overlayDirectory, 'blocks')),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function openFiles(options: MountOptions, work: string): Promise<Mount> {
  // A process that mounts reads nothing from the repository itself, and need not load it.
  const openSource = options.openSource ?? (await import('./archive-source.ts')).openArchiveSource;
  const source = await openSource(options.source, options.pace);
  try {
    const directory = await layDownPoint(source, options.overlayDirectory ?? work, options.signal);
    const close = once(async () => await removeWork(work, options.log));
    const broken = new Promise<never>(() => {});
    return { directory, mode: 'files', wrap: [], pid: undefined, broken, troubles: [], overlayBytes: async () => diskBytes(directory), close, [Symbol.asyncDispose]: close };
  } finally {
    await source.close();
  }
}

/** The work directory goes with everything in it, but never through a mount that is still there. */
async function removeWork(work: string, log: Log): Promise<void> {
  await removeStaleMounts(work, log);
  if (ownMountsBelow(work).length > 0) return log.error('a mount could not be removed, and its directory stays', { directory: work });
  await rm(work, { recursive: true, force: true, maxRetries: 3 });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return async () => await (done ??= work());
}
