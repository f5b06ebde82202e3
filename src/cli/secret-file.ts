import { readFile } from 'node:fs/promises';
import { fileUnreadable } from './failures.ts';

/** The text of a file without the line end that editors put there. */
export async function readFileOf(what: string, path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (error as Error).message;
    throw fileUnreadable({ what, path, why }, error);
  }
}
