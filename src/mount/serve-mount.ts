/**
 * A mount, from the inside: runs in a process of its own, because one that touches its own mount waits for itself.
 *
 *   openOverlay ─→ /dev/fuse, mount(2) ─→ INIT agreed: ready ─→ serving ─ unmount(), or umount by anybody ─→ ended
 *
 * For the same reason nothing in here looks at a path below the mount once it is mounted; what must be known of it comes
 * from the mount table.
 */
import { realpathSync, writeFileSync } from 'node:fs';
import { systemClock, type Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { describe, isFailure, toWire } from '../base/failure.ts';
import { systemCallFailed } from '../base/failures.ts';
import type { Log } from '../base/log.ts';
import { mountFileSystem, unmountAside } from '../base/native.ts';
import { mountPointInUse, mountRefused } from './failures.ts';
import { openFuseDevice, serveRequests } from './fuse-device.ts';
import { openFuseServer } from './fuse-server.ts';
import { fileSystemType, mountAt } from './mount-table.ts';
import { openOverlay } from './overlay.ts';
import { pathOf, type MountedFile, type Owner, type TreeNode } from './tree.ts';
import type { Trouble } from './trouble.ts';

export type ServeOptions = {
  readonly files: readonly MountedFile[];
  /** Must be there: who opens a mount makes it, and may have removed it again. */
  readonly mountDirectory: string;
  readonly overlayDirectory: string;
  /** fsync does nothing, and a restart of the machine loses the overlay. */
  readonly throwAway: boolean;
  /** Who owns what the point brought. */
  readonly owner: Owner;
  readonly device?: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Bytes that could not be read or kept: whoever asked for them got EIO (or ENOSPC). */
  readonly onTrouble?: (trouble: Trouble) => void;
};

export type ServedMount = {
  /** Resolves when the mount has ended, whoever ended it, and everything is closed. */
  readonly unmounted: Promise<void>;
  /** Until nobody uses it; past the deadline it is taken out of the tree while files are open. */
  unmount(deadlineMs?: number): Promise<void>;
};

const readsInFlight = 3;
const agreeMs = 10_000;

export async function serveMount(options: ServeOptions): Promise<ServedMount> {
  const { overlayDirectory, log, clock = systemClock } = options;
  const directory = realpathSync(options.mountDirectory);
  if (mountAt(directory)?.fileSystem === fileSystemType) throw mountPointInUse({ directory });
  const overlay = openOverlay({ files: options.files, directory: overlayDirectory, throwAway: options.throwAway, owner: options.owner, clock });
  try {
    const server = openFuseServer({ overlay, overlayDirectory, clock, onError: troubleTeller(options) });
    const fd = await attach(options, directory);
    const unmounted = serveRequests(fd, server.handle, readsInFlight).finally(() => overlay.close());
    unmounted.catch((error: unknown) => log.error('the mount has ended badly', { directory, why: describe(error) }));
    const unmount = async (deadlineMs = 10_000): Promise<void> => await detach(directory, unmounted, deadlineMs, clock, log);
    await withDeadline('the kernel to start the file system', agreeMs, async () => await Promise.race([server.agreed, unmounted])).catch(async (error: unknown) => {
      await unmount(0);
      throw error;
    });
    raiseReadAhead(directory, log);
    return { unmounted, unmount };
  } catch (error) {
    overlay.close();
    throw error;
  }
}

async function attach(options: ServeOptions, directory: string): Promise<number> {
  const device = options.device ?? '/dev/fuse';
  const fd = await openFuseDevice(device).catch((error: unknown) => {
    throw mountRefused({ directory, why: `${device} cannot be opened (${(error as NodeJS.ErrnoException).code ?? String(error)})` }, error);
  });
  const { uid, gid } = options.owner;
  try {
    mountFileSystem(`tidemark:${options.overlayDirectory}`, directory, fileSystemType, `fd=${fd},rootmode=40000,user_id=${uid},group_id=${gid},allow_other,default_permissions,max_read=1048576`);
    return fd;
  } catch (error) {
    if (!isFailure(error, systemCallFailed)) throw error;
    throw mountRefused({ directory, why: `mount(2) answers errno ${error.details['errno'] as number}` }, error);
  }
}

/** The kernel says busy for a moment after a mongod has ended. */
async function detach(directory: string, unmounted: Promise<void>, deadlineMs: number, clock: Clock, log: Log): Promise<void> {
  const ended = (): boolean => mountAt(directory)?.fileSystem !== fileSystemType;
  const until = clock.monotonicMs() + deadlineMs;
  while (!ended()) {
    const lazy = clock.monotonicMs() >= until;
    if (lazy) log.warn('the mount is still in use and is taken away from its users', { directory });
    if (!(await unmountAside(directory, { lazy })) && !lazy) await clock.wait(50);
    else if (lazy) break;
  }
  await withDeadline('the end of the mount', 5_000, async () => await unmounted).catch((error: unknown) =>
    log.warn('a program still holds files of the mount', { directory, why: describe(error) }),
  );
}

/** Long reads in a row come in pieces of 1 MiB, with the next one on its way. Only root may ask for that. */
function raiseReadAhead(directory: string, log: Log): void {
  const device = mountAt(directory)?.device;
  try {
    writeFileSync(`/sys/class/bdi/${device ?? ''}/read_ahead_kb`, '1024');
  } catch (error) {
    log.info('the read-ahead of the mount stays as it is', { directory, why: (error as NodeJS.ErrnoException).code });
  }
}

const saidAtMost = 20;

function troubleTeller({ log, onTrouble }: ServeOptions) {
  let count = 0;
  return (node: TreeNode | undefined, operation: string, error: unknown): void => {
    if (++count > saidAtMost) return;
    const trouble = { path: node === undefined ? '' : pathOf(node), operation };
    log.error('the mount answered an error', { ...trouble, why: describe(error) });
    onTrouble?.({ ...trouble, failure: toWire(error) });
  };
}
