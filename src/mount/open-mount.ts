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
import { mkdirSync, realpathSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { unmount } from '../base/native.ts';
import { diskBytes } from './disk-bytes.ts';
import { mountNoWay, mountProcessEnded, mountRefused } from './failures.ts';
import { layDownPoint } from './laid-down.ts';
import { startMountChild, type MountChild, type Trouble } from './mount-child.ts';
import { fileSystemType, mountAt } from './mount-table.ts';
import type { OpenSource, SourceAccess } from './point-source.ts';

export type MountMode = 'fuse' | 'fuse-in-user-namespace' | 'files';

export type MountOptions = {
  readonly source: SourceAccess;
  /** Holds the mount point and what is thrown away; both are gone after `close`. */
  readonly workDirectory: string;
  /** How to start the mount process: program and first arguments. */
  readonly program: readonly string[];
  /** Keeps the writes here, to be used again with the same point. Default: thrown away at `close`. */
  readonly overlayDirectory?: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
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
  /** Errors that the mount answered: why a mongod on it may have stopped. */
  readonly troubles: readonly Trouble[];
  /** Bytes on disk that the writes take. */
  overlayBytes(): Promise<number>;
  close(): Promise<void>;
};

const modes: readonly MountMode[] = ['fuse', 'fuse-in-user-namespace', 'files'];

export async function openMount(options: MountOptions): Promise<Mount> {
  mkdirSync(options.workDirectory, { recursive: true, mode: 0o700 });
  const work = realpathSync(options.workDirectory);
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
      if (!isFailure(error, mountRefused) && !(mode === 'fuse-in-user-namespace' && isFailure(error, mountProcessEnded))) throw error;
      refusals.push(`${mode}: ${describe(error)}`);
    }
  }
  throw mountNoWay({ tried: refusals.join('; ') });
}

async function openFuse(options: MountOptions, work: string, mode: 'fuse' | 'fuse-in-user-namespace'): Promise<Mount> {
  const directory = join(work, 'point');
  const kept = options.overlayDirectory !== undefined;
  const overlayDirectory = options.overlayDirectory ?? join(work, 'overlay');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const removeDirectories = (): void => {
    if (mountAt(directory)?.fileSystem === fileSystemType) return options.log.error('a mount could not be removed', { directory });
    rmdirSync(directory);
    if (!kept) rmSync(overlayDirectory, { recursive: true, force: true });
  };
  const inNamespace = mode === 'fuse' ? [] : ['unshare', '--user', '--map-root-user', '--mount', '--propagation', 'private', '--'];
  const job = { source: options.source, mountDirectory: directory, overlayDirectory, throwAway: !kept, device: options.device };
  let child: MountChild;
  try {
    child = await startMountChild({ command: [...inNamespace, ...options.program], job, readyMs: options.readyMs ?? 60_000, signal: options.signal });
  } catch (error) {
    removeDead(directory, options.log);
    removeDirectories();
    throw error;
  }
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
    removeDead(directory, options.log);
    removeDirectories();
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
  const kept = options.overlayDirectory !== undefined;
  const target = options.overlayDirectory ?? join(work, 'laid-down');
  const remove = (): void => {
    if (!kept) rmSync(target, { recursive: true, force: true });
  };
  // A process that mounts reads nothing from the repository itself, and need not load it.
  const openSource = options.openSource ?? (await import('./archive-source.ts')).openArchiveSource;
  const source = await openSource(options.source);
  try {
    mkdirSync(target, { recursive: true, mode: 0o700 });
    const directory = await layDownPoint(source, target, options.signal);
    const close = once(async () => remove());
    const broken = new Promise<never>(() => {});
    return { directory, mode: 'files', wrap: [], pid: undefined, broken, troubles: [], overlayBytes: async () => diskBytes(directory), close, [Symbol.asyncDispose]: close };
  } catch (error) {
    remove();
    throw error;
  } finally {
    await source.close();
  }
}

/** After a server that was killed or did not end in time. */
function removeDead(directory: string, log: Log): void {
  if (mountAt(directory)?.fileSystem !== fileSystemType) return;
  try {
    unmount(directory, { lazy: true, force: true });
  } catch (error) {
    log.error('a dead mount cannot be removed', { directory, why: describe(error) });
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return async () => await (done ??= work());
}
