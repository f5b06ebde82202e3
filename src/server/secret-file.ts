import { chmod, readFile } from 'node:fs/promises';
import { writeWhole } from '../base/whole-file.ts';

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
