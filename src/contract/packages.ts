/**
 * Packages, as a depot keeps them and a deployer installs them.
 *
 *   NAME-VERSION-PLATFORM.tar.gz     one folder, NAME-VERSION, with everything the programs need (scripts/package)
 *   NAME-VERSION-PLATFORM.msi        in its place, for Windows: the same for Windows Installer
 *   NAME-VERSION-PLATFORM.json       the manifest: JSON, at most 4 KiB, with the archive's SHA-256 and length
 *   NAME-VERSION-PLATFORM.json.sig   Ed25519 over the manifest's bytes, base64
 *
 * The signature covers the manifest as it is written, not as it is understood: nothing is parsed before it is verified.
 */
import { createPublicKey, verify } from 'node:crypto';
import * as z from 'zod';
import { manifestNotUnderstood, packageNotSigned } from './failures.ts';

/** `tidemark-depot` is for Windows alone: on Linux the distribution server is a part of `tidemark-server`. */
export const packageName = z.enum(['tidemark-deployer', 'tidemark-transport', 'tidemark-server', 'tidemark-depot']);
export type PackageName = z.infer<typeof packageName>;

export const packageVersion = z.string().regex(/^\d{1,6}\.\d{1,6}\.\d{1,6}(-[0-9A-Za-z.]{1,40})?$/);
export const packagePlatform = z.enum(['linux-x64', 'linux-arm64', 'windows-x64']);
/** The most bytes of a package in one piece, wherever it goes in pieces. */
export const pieceBytes = 4 << 20;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const packageManifest = z.strictObject({
  name: packageName,
  version: packageVersion,
  platform: packagePlatform,
  sha256,
  bytes: z.int().min(1).max(2 ** 31),
  builtAt: z.string().max(40),
});
export type PackageManifest = z.infer<typeof packageManifest>;

export const signedManifest = z.object({ manifest: z.string().max(4096), signature: z.string().max(200) });
export type SignedManifest = z.infer<typeof signedManifest>;

/** The manifest, if the holder of the key signed exactly these bytes. */
export function openManifest({ manifest, signature }: SignedManifest, publicKeyPem: string): PackageManifest {
  if (!isSigned(manifest, signature, publicKeyPem)) throw packageNotSigned({ what: nameIn(manifest) });
  const read = packageManifest.safeParse(JSON.parse(manifest));
  if (!read.success) throw manifestNotUnderstood({ why: z.prettifyError(read.error) });
  return read.data;
}

function isSigned(manifest: string, signature: string, publicKeyPem: string): boolean {
  const key = createPublicKey(publicKeyPem);
  return key.asymmetricKeyType === 'ed25519' && verify(null, Buffer.from(manifest), key, Buffer.from(signature, 'base64'));
}

/** For the sentence about a package that nobody vouches for: cut short and without what could disturb a terminal. */
function nameIn(manifest: string): string {
  const found = /"name":"([\w-]{1,40})","version":"([\w.-]{1,60})"/.exec(manifest);
  return found === null ? 'the package' : `${found[1]} ${found[2]}`;
}

export function packageFile({ name, version, platform }: Pick<PackageManifest, 'name' | 'version' | 'platform'>): string {
  return `${name}-${version}-${platform}`;
}

/** Families of packages of Windows Installer: by them it knows what a newer one replaces. */
export const upgradeCodes: Readonly<Partial<Record<PackageName, string>>> = {
  'tidemark-transport': '6c1f9f2e-4f0b-5a3d-9a53-0d8f6f1b2a77',
  'tidemark-deployer': '2b7d0c54-91aa-5e1f-8c36-5f1f0a6f4b21',
  'tidemark-depot': 'd9e6a3f8-07c4-5b92-a1d5-3c8e7b40f6e5',
};

/** What packages must be for to be installed on this machine. */
export const platformHere = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/** The file of a package is one of these. */
export const archiveForms = ['.tar.gz', '.msi'] as const;

/** Below zero when `a` is older. A version with a suffix is older than the same without; suffixes go by their text, numbers in them by size. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => {
    const dash = version.indexOf('-');
    return { numbers: (dash < 0 ? version : version.slice(0, dash)).split('.').map(Number), suffix: dash < 0 ? undefined : version.slice(dash + 1) };
  });
  for (let k = 0; k < 3; k++) {
    const difference = (left!.numbers[k] ?? 0) - (right!.numbers[k] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left!.suffix === right!.suffix) return 0;
  if (left!.suffix === undefined || right!.suffix === undefined) return left!.suffix === undefined ? 1 : -1;
  return left!.suffix.localeCompare(right!.suffix, 'en', { numeric: true });
}
