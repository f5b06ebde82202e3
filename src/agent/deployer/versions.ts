/**
 * The installed versions of a package, as they lie on disk.
 *
 *   OPT/transport/0.1.0/           a version: complete, because it got this name in one rename
 *   OPT/transport/.unpacking-…     a version on its way; removed at the next start
 *   OPT/transport/current          symbolic link to the version that runs; replaced in one rename
 *   OPT/deployer/previous          symbolic link to the version to go back to, while an update of the deployer is not over
 *
 * Units are symbolic links through `current`, so programs and units change in the same rename.
 */
import { mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { requireProgram } from '../../base/child-process.ts';
import { randomId } from '../../base/ids.ts';
import { syncDirectory } from '../../base/whole-file.ts';
import { compareVersions, packageVersion, type PackageManifest, type PackageName } from '../../contract/packages.ts';
import { packageDamaged } from '../failures.ts';

export type Versions = {
  directory(name: PackageName, version: string): string;
  current(name: PackageName): Promise<string | undefined>;
  /** Newest first. */
  kept(name: PackageName): Promise<string[]>;
  /** Lays the archive's content down under its version, unless it is there. */
  unpack(manifest: PackageManifest, archive: string): Promise<void>;
  point(name: PackageName, link: 'current' | 'previous', version: string): Promise<void>;
  unpoint(name: PackageName, link: 'current' | 'previous'): Promise<void>;
  remove(name: PackageName, version: string): Promise<void>;
  removeAll(name: PackageName): Promise<void>;
  /** What an interrupted unpacking left. */
  clear(): Promise<void>;
};

export function openVersions(opt: string): Versions {
  const place = (name: PackageName): string => join(opt, name.replace('tidemark-', ''));
  const namesIn = async (directory: string): Promise<string[]> => await readdir(directory).catch((): string[] => []);
  const versions: Versions = {
    directory: (name, version) => join(place(name), version),
    current: async (name) => await readlink(join(place(name), 'current')).catch(() => undefined),
    kept: async (name) => (await namesIn(place(name))).filter((entry) => packageVersion.safeParse(entry).success).sort((a, b) => compareVersions(b, a)),
    async unpack(manifest, archive) {
      const { name, version } = manifest;
      if ((await versions.kept(name)).includes(version)) return;
      await mkdir(place(name), { recursive: true, mode: 0o755 });
      const partial = join(place(name), `.unpacking-${randomId()}`);
      await mkdir(partial, { mode: 0o755 });
      await requireProgram('tar', ['-xzf', archive, '-C', partial, '--strip-components=1', '--no-same-owner'], { deadlineMs: 120_000 }).catch((error: unknown) => {
        throw packageDamaged({ name, version, why: 'it cannot be unpacked' }, error);
      });
      await requireProgram('sync', ['-f', partial], { deadlineMs: 120_000 });
      await rename(partial, versions.directory(name, version));
      await syncDirectory(place(name));
    },
    async point(name, link, version) {
      const next = join(place(name), `${link}.new`);
      await rm(next, { force: true });
      await symlink(version, next);
      await rename(next, join(place(name), link));
      await syncDirectory(place(name));
    },
    async unpoint(name, link) {
      await rm(join(place(name), link), { force: true });
    },
    async remove(name, version) {
      const away = join(place(name), `.unpacking-${randomId()}`);
      await rename(versions.directory(name, version), away);
      await rm(away, { recursive: true, force: true });
    },
    async removeAll(name) {
      await rm(place(name), { recursive: true, force: true });
    },
    async clear() {
      for (const directory of await namesIn(opt)) {
        for (const entry of (await namesIn(join(opt, directory))).filter((one) => one.startsWith('.unpacking-'))) await rm(join(opt, directory, entry), { recursive: true, force: true });
      }
    },
  };
  return versions;
}
