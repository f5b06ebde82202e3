/** What tests of mounts share: a point made of a directory, and a way to open it. */
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog, type Log } from '../../src/base/log.ts';
import { openMount, type Mount, type MountOptions } from '../../src/mount/open-mount.ts';
import { removeStaleMounts } from '../../src/mount/stale.ts';
import { accessTo, openDirectorySource } from './mounted-directory.ts';

export const mountProgram = [process.execPath, join(import.meta.dirname, 'mounted-directory.ts')];

/** Why mounts cannot be tested on this machine, for `skip`; false where they can. */
export const noMounts = ((): string | false => {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0 ? false : 'the tests of mounts need root';
  } catch {
    return 'there is no /dev/fuse to open';
  }
})();

export type MountBench = AsyncDisposable & {
  readonly root: string;
  /** What the point holds; fill it before the first mount. */
  readonly point: string;
  readonly work: string;
  open(options?: Partial<MountOptions>): Promise<Mount>;
};

export function openMountBench(log: Log = silentLog): MountBench {
  const root = mkdtempSync(join(tmpdir(), 'tm-mount-'));
  const point = join(root, 'archive');
  const work = join(root, 'work');
  mkdirSync(point);
  const mounts: Mount[] = [];
  return {
    root,
    point,
    work,
    async open(options = {}) {
      const mount = await openMount({ source: accessTo(point), workDirectory: work, program: mountProgram, log, openSource: openDirectorySource, prefer: 'fuse', ...options });
      mounts.push(mount);
      return mount;
    },
    async [Symbol.asyncDispose]() {
      for (const mount of mounts) await mount.close();
      await removeStaleMounts(root, log);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
