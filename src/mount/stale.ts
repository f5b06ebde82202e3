import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { unmount } from '../base/native.ts';
import { ownMountsBelow } from './mount-table.ts';

/**
 * Removes our mounts at or below a directory. The caller knows that nobody who used them lives: a mount whose server was
 * killed answers ENOTCONN, and one whose server outlived its parent is broken off first, so that neither can hang us.
 * Answers the directories that were mounted.
 */
export async function removeStaleMounts(workDirectory: string, log: Log): Promise<string[]> {
  const removed: string[] = [];
  for (const { mountPoint } of ownMountsBelow(workDirectory)) {
    try {
      unmount(mountPoint, { lazy: true, force: true });
      removed.push(mountPoint);
      log.warn('a mount that a killed run left was removed', { directory: mountPoint });
    } catch (error) {
      log.error('a mount that a killed run left cannot be removed', { directory: mountPoint, why: describe(error) });
    }
  }
  return removed;
}
