/** The deployer's package on this machine, for a first contact: fetched once and kept, because many hosts get the same one. */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256OfFile } from '../base/file-hash.ts';
import { randomId } from '../base/ids.ts';
import { packageFile, pieceBytes } from '../contract/packages.ts';
import type { Distribution, OfferedPackage } from './distribution.ts';
import { depotNotReached } from './failures.ts';

/** Answers where it is; another version that was kept for the platform goes. */
export async function fetchPackage(directory: string, { manifest }: OfferedPackage, distribution: Distribution): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const end = manifest.platform === 'windows-x64' ? '.msi' : '.tar.gz';
  const file = join(directory, `${packageFile(manifest)}${end}`);
  if ((await hashOf(file)) === manifest.sha256) return file;
  for (const name of await readdir(directory)) if (name.endsWith(`${manifest.platform}${end}`)) await rm(join(directory, name));
  const partial = `${file}.${randomId()}.part`;
  try {
    await using out = await open(partial, 'w', 0o600);
    for (let at = 0; at < manifest.bytes; at += pieceBytes) await out.write(await distribution.bytes(manifest, at, Math.min(pieceBytes, manifest.bytes - at)));
    if ((await hashOf(partial)) !== manifest.sha256) throw depotNotReached({ address: distribution.at?.host ?? '', why: `the bytes it sent are not those of ${packageFile(manifest)}` });
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
  return file;
}

async function hashOf(path: string): Promise<string | undefined> {
  return await sha256OfFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
