/** What an operator carries to a Windows host: a folder with the package, the kit and the program that brings both to their places. */
import { createHash } from 'node:crypto';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFile, pieceBytes, type PackageManifest } from '../../contract/packages.ts';
import type { HostKit } from '../../contract/routes/hosts.ts';
import type { Invocation } from '../command.ts';
import { packageNotWhole, usage } from '../failures.ts';

export type WindowsKit = { readonly program: string; readonly kit: HostKit; readonly package: PackageManifest };

/** A folder of its own, made here: nobody else's is written into. What is not whole does not stay. */
export async function keepWindowsKit(invocation: Invocation, directory: string, { program, kit, package: manifest }: WindowsKit): Promise<void> {
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw usage({ why: `the installer cannot be written to ${directory}: ${error.code === 'EEXIST' ? 'it is there already' : error.message}`, command: 'tidemark node kit' });
  });
  try {
    await writePackage(invocation, join(directory, `${packageFile(manifest)}.msi`), manifest);
    await writeFile(join(directory, 'install.cmd'), program, { mode: 0o600 });
    await writeFile(join(directory, 'kit.json'), `${JSON.stringify(kit, undefined, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    await rm(directory, { recursive: true });
    throw error;
  }
}

async function writePackage(invocation: Invocation, file: string, manifest: PackageManifest): Promise<void> {
  const { name, version, platform, bytes, sha256 } = manifest;
  const client = await invocation.client();
  const hash = createHash('sha256');
  await using out = await open(file, 'wx', 0o600);
  for (let from = 0; from < bytes; from += pieceBytes) {
    const { base64 } = await client.call('package.bytes', { params: { name, version, platform }, query: { from, length: Math.min(pieceBytes, bytes - from) } });
    const piece = Buffer.from(base64, 'base64');
    hash.update(piece);
    await out.write(piece);
  }
  if (hash.digest('hex') !== sha256) throw packageNotWhole({ name, version });
}
