/**
 * The packages of a distribution server: a directory of archives, manifests and signatures (contract/packages.ts).
 *
 * A package is offered only when its signature is that of this server's key and every byte of its archive was hashed.
 * What is not whole is refused by name and stays where it is: it may still be on its way in. Files that were checked are
 * checked again only when their size or time changes.
 */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256OfFile } from '../base/file-hash.ts';
import { archiveForms, compareVersions, openManifest, packageFile, type PackageManifest, type PackageName, type SignedManifest } from '../contract/packages.ts';
import { packageUnknown } from './failures.ts';

export type StoredPackage = { readonly manifest: PackageManifest; readonly signed: SignedManifest; readonly file: string };
export type RefusedPackage = { readonly file: string; readonly why: string };
export type PackageWanted = { readonly name?: PackageName | undefined; readonly version?: string | undefined; readonly platform?: string | undefined };

export type PackageStore = {
  /** Newest first. */
  list(wanted?: PackageWanted): Promise<StoredPackage[]>;
  refused(): Promise<RefusedPackage[]>;
  /** `latest` is a version too. */
  find(wanted: { name: PackageName; version: string; platform: string }): Promise<StoredPackage>;
};

export async function openPackageStore(directory: string, publicKeyPem: string): Promise<PackageStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const checked = new Map<string, { readonly stamp: string; readonly sha256: string }>();

  async function hashOf(path: string): Promise<string> {
    const { size, mtimeMs } = await stat(path);
    const stamp = `${size}/${mtimeMs}`;
    const known = checked.get(path);
    if (known?.stamp === stamp) return known.sha256;
    const sha256 = await sha256OfFile(path);
    checked.set(path, { stamp, sha256 });
    return sha256;
  }

  async function open(stem: string, names: readonly string[]): Promise<StoredPackage | RefusedPackage> {
    const form = archiveForms.find((each) => names.includes(`${stem}${each}`)) ?? archiveForms[0];
    const file = join(directory, `${stem}${form}`);
    const refused = (why: string): RefusedPackage => ({ file: `${stem}${form}`, why });
    try {
      const signed = { manifest: await readFile(join(directory, `${stem}.json`), 'utf8'), signature: (await readFile(join(directory, `${stem}.json.sig`), 'utf8')).trim() };
      const manifest = openManifest(signed, publicKeyPem);
      if (packageFile(manifest) !== stem) return refused(`its manifest is that of ${packageFile(manifest)}`);
      if ((await stat(file)).size !== manifest.bytes || (await hashOf(file)) !== manifest.sha256) return refused('its bytes are not those of its manifest');
      return { manifest, signed, file };
    } catch (error) {
      return refused((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'its archive, manifest or signature is missing' : (error as Error).message);
    }
  }

  async function look(): Promise<{ good: StoredPackage[]; refused: RefusedPackage[] }> {
    const names = await readdir(directory);
    const stems = [...new Set(names.flatMap((name) => /^(tidemark-.*)\.(?:tar\.gz|msi|json)$/.exec(name)?.[1] ?? []))];
    const good: StoredPackage[] = [];
    const refused: RefusedPackage[] = [];
    for (const stem of stems.sort()) {
      const opened = await open(stem, names);
      if ('why' in opened) refused.push(opened);
      else good.push(opened);
    }
    good.sort((a, b) => a.manifest.name.localeCompare(b.manifest.name) || compareVersions(b.manifest.version, a.manifest.version));
    return { good, refused };
  }

  const store: PackageStore = {
    async list(wanted = {}) {
      const { good } = await look();
      return good.filter(({ manifest }) => (['name', 'version', 'platform'] as const).every((field) => wanted[field] === undefined || wanted[field] === manifest[field]));
    },
    refused: async () => (await look()).refused,
    async find({ name, version, platform }) {
      const found = await store.list({ name, platform, version: version === 'latest' ? undefined : version });
      if (found[0] === undefined) throw packageUnknown({ what: `${name} ${version} for ${platform}` });
      return found[0];
    },
  };
  return store;
}
