/**
 * The folder of an installer service (docs/design/windows-first-contact.md): directly below %SystemRoot%, where only administrators
 * make folders, under the name that the server drew for this contact. What is handed to Windows Installer lies in a folder further
 * down, whose name is drawn here, so that nobody can have made it, or a file in it, before.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, lstat, mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sha256OfFile } from '../base/file-hash.ts';
import { openManifest, type PackageManifest, type SignedManifest } from '../contract/packages.ts';
import { contactRefused, packageDamaged } from './failures.ts';

/** What Node can see of it; who may write into it stands in its rights. */
export async function checkFolder(directory: string, { name, systemRoot }: { name: string; systemRoot: string }): Promise<void> {
  if (!(await lstat(directory)).isDirectory()) throw contactRefused({ why: `${directory} is a link` });
  if (basename(directory) !== name) throw contactRefused({ why: `it was put to ${name}, and lies in ${directory}` });
  if ((await realpath(dirname(directory))) !== (await realpath(systemRoot))) throw contactRefused({ why: `${directory} is not directly below ${systemRoot}` });
}

/** A new folder; one that is there is a refusal. */
export async function makeOwnFolder(directory: string): Promise<string> {
  const made = join(directory, randomBytes(16).toString('hex'));
  await mkdir(made, { mode: 0o700 });
  return made;
}

/** A copy that nobody else has made, checked as it lies there: signature, length and every byte. */
export async function copyToInstall(archive: string, signed: SignedManifest, publicKeyPem: string, directory: string): Promise<{ file: string; manifest: PackageManifest }> {
  const manifest = openManifest(signed, publicKeyPem);
  const { name, version, bytes, sha256 } = manifest;
  const file = join(await makeOwnFolder(directory), `${name}-${version}.msi`);
  await copyFile(archive, file, constants.COPYFILE_EXCL);
  const found = await lstat(file);
  if (!found.isFile() || found.size !== bytes) throw packageDamaged({ name, version, why: `the copy has ${found.size} bytes` });
  if ((await sha256OfFile(file)) !== sha256) throw packageDamaged({ name, version, why: 'the checksum of the copy differs' });
  return { file, manifest };
}
