import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a whole file in one rename; after a crash there is the old file, the new one, or none. */
export async function writeWhole(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** A file only its owner can read. */
export async function writeSecret(path: string, content: string | Uint8Array): Promise<void> {
  await writeWhole(path, content, 0o600);
}

/** The content, or undefined when there is no such file. A mode that lets others read it is put right. */
export async function readSecret(path: string): Promise<Buffer | undefined> {
  try {
    const content = await readFile(path);
    await chmod(path, 0o600);
    return content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
