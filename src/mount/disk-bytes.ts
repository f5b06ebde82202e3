import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** What a directory's files take on disk; holes take nothing. */
export function diskBytes(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += lstatSync(join(entry.parentPath, entry.name)).blocks * 512;
  }
  return bytes;
}
