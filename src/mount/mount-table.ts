/** Our mounts in the mount table of this process. The file system type tells them from everybody else's. */
import { realpathSync } from 'node:fs';
import { parseMounts, type MountedAt } from '../look/proc-text.ts';
import { readText } from '../mongo/process-facts.ts';

export const fileSystemType = 'fuse.tidemark';

export function mountTable(): MountedAt[] {
  return parseMounts(readText('/proc/self/mountinfo') ?? '');
}

export function mountAt(directory: string): MountedAt | undefined {
  return mountTable().findLast(({ mountPoint }) => mountPoint === directory);
}

/** Our mounts at or below a directory, the innermost first. */
export function ownMountsBelow(directory: string): MountedAt[] {
  const root = resolved(directory);
  const below = mountTable().filter(({ fileSystem, mountPoint }) => fileSystem === fileSystemType && (mountPoint === root || mountPoint.startsWith(`${root}/`)));
  return below.reverse();
}

/** A dead mount cannot be resolved, but the directories above it can. */
function resolved(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return directory;
  }
}
