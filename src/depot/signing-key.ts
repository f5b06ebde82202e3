/** The key that packages are signed with: Ed25519, made at first use, in the depot's directory, mode 0600. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { packageManifest, type PackageManifest, type SignedManifest } from '../contract/packages.ts';

export type SigningKey = { readonly publicKeyPem: string; sign(manifest: PackageManifest): SignedManifest };

export async function openSigningKey(path: string): Promise<SigningKey> {
  const privateKey = createPrivateKey(await keyPem(path));
  return {
    publicKeyPem: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
    sign(given) {
      const manifest = JSON.stringify(packageManifest.parse(given));
      return { manifest, signature: sign(null, Buffer.from(manifest), privateKey).toString('base64') };
    },
  };
}

async function keyPem(path: string): Promise<string> {
  try {
    const pem = await readFile(path, 'utf8');
    await chmod(path, 0o600);
    return pem;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const made = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await writeFile(path, made, { mode: 0o600, flag: 'wx', flush: true });
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return await readFile(path, 'utf8');
  }
}
