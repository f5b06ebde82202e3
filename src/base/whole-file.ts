import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { moveOver, syncFolder } from './durable-names.ts';

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
  await moveOver(partial, path);
}

/** Makes renames and removals in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  await syncFolder(path);
}
