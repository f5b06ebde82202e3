/**
 * A package into the directory of a distribution server. Its manifest and signature lie beside it; what this server's key has
 * not signed is refused, unless somebody vouches for it: then the key signs a manifest that is made from the archive itself.
 *
 * Order: archive, signature, manifest, each whole in one rename, so that a list that is made meanwhile finds the package
 * whole or not yet.
 */
import { chmod, copyFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { requireProgram } from '../base/child-process.ts';
import type { Clock } from '../base/clock.ts';
import { sha256OfFile } from '../base/file-hash.ts';
import { randomId } from '../base/ids.ts';
import { writeWhole } from '../base/whole-file.ts';
import { archiveForms, openManifest, packageFile, packageName, packagePlatform, packageVersion, type PackageManifest, type SignedManifest } from '../contract/packages.ts';
import { packageRefused } from './failures.ts';
import { openSigningKey, type SigningKey } from './signing-key.ts';

export type AddedPackage = Pick<PackageManifest, 'name' | 'version' | 'platform' | 'bytes'> & { /** It was there already, byte for byte. */ readonly before: boolean };

const unpackMs = 60_000;

export async function addPackage(directory: string, file: string, isVouchedFor: boolean, clock: Clock): Promise<AddedPackage> {
  const key = await openSigningKey(join(directory, 'signing.key'));
  const facts = await factsOf(file);
  const { manifest, signed } = isVouchedFor ? await vouchFor(file, facts, key, clock) : await readSigned(file, facts, key);
  const packages = join(directory, 'packages');
  const stem = join(packages, packageFile(manifest));
  await mkdir(packages, { recursive: true, mode: 0o700 });
  const { name, version, platform, bytes } = manifest;
  const archive = `${stem}${archiveForms.find((form) => file.endsWith(form)) ?? archiveForms[0]}`;
  const answer = { name, version, platform, bytes };
  const there = await sha256OfFile(archive).catch(() => undefined);
  if (there !== undefined && there !== manifest.sha256) throw packageRefused({ file, why: `another ${name} ${version} for ${platform} is there already` });
  if (there !== undefined && (await textOf(`${stem}.json`)) !== undefined) return { ...answer, before: true };
  const partial = join(packages, `.adding-${randomId()}`);
  try {
    await copyFile(file, partial);
    await chmod(partial, 0o600);
    await rename(partial, archive);
  } finally {
    await rm(partial, { force: true });
  }
  await writeWhole(`${stem}.json.sig`, `${signed.signature}\n`, 0o600);
  await writeWhole(`${stem}.json`, signed.manifest, 0o600);
  return { ...answer, before: false };
}

type Facts = { readonly sha256: string; readonly bytes: number };
type Opened = { readonly manifest: PackageManifest; readonly signed: SignedManifest };

async function factsOf(file: string): Promise<Facts> {
  try {
    return { sha256: await sha256OfFile(file), bytes: (await stat(file)).size };
  } catch (error) {
    throw packageRefused({ file, why: (error as Error).message }, error);
  }
}

async function readSigned(file: string, facts: Facts, key: SigningKey): Promise<Opened> {
  const stem = file.replace(/\.(tar\.gz|msi)$/, '');
  const [manifestText, signature] = [await textOf(`${stem}.json`), await textOf(`${stem}.json.sig`)];
  if (manifestText === undefined || signature === undefined) throw packageRefused({ file, why: 'its manifest or its signature is not beside it' });
  const signed = { manifest: manifestText, signature: signature.trim() };
  let manifest: PackageManifest;
  try {
    manifest = openManifest(signed, key.publicKeyPem);
  } catch (error) {
    throw packageRefused({ file, why: 'it is not signed by the key of this distribution server' }, error);
  }
  if (manifest.sha256 !== facts.sha256 || manifest.bytes !== facts.bytes) throw packageRefused({ file, why: 'its bytes are not those of its manifest' });
  return { manifest, signed };
}

/** Name and version are what the archive itself says; its file's name adds the platform. */
async function vouchFor(file: string, facts: Facts, key: SigningKey, clock: Clock): Promise<Opened> {
  const named = /^(tidemark-[a-z]+)-(\d.*)-(linux-[a-z0-9]+)\.tar\.gz$/.exec(basename(file));
  const [name, version, platform] = [packageName.safeParse(named?.[1]), packageVersion.safeParse(named?.[2]), packagePlatform.safeParse(named?.[3])];
  if (!name.success || !version.success || !platform.success) throw packageRefused({ file, why: 'it is not called NAME-VERSION-PLATFORM.tar.gz' });
  const inside = await requireProgram('tar', ['-xzOf', file, `${name.data}-${version.data}/package.json`], { deadlineMs: unpackMs }).catch((error: unknown) => {
    throw packageRefused({ file, why: 'it cannot be unpacked as a package of that name' }, error);
  });
  const said = JSON.parse(inside) as { name?: unknown; version?: unknown };
  if (said.name !== name.data || said.version !== version.data) throw packageRefused({ file, why: `in it is ${String(said.name)} ${String(said.version)}` });
  const manifest = { name: name.data, version: version.data, platform: platform.data, ...facts, builtAt: new Date(clock.now()).toISOString() };
  return { manifest, signed: key.sign(manifest) };
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
