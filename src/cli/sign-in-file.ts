/** What `tidemark login` keeps: which server, trusted by which authority, and the token, in a file for its owner alone. */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileNotWritten } from './failures.ts';

export type KeptSignIn = { readonly server: string; readonly user: string; readonly token: string; readonly ca: string; readonly expiresAtMs: number };

/** Undefined where nobody is signed in, or no longer. */
export async function readSignIn(path: string, nowMs: number): Promise<KeptSignIn | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as KeptSignIn;
    return kept.expiresAtMs > nowMs ? kept : undefined;
  } catch {
    return undefined;
  }
}

export async function keepSignIn(path: string, kept: KeptSignIn): Promise<void> {
  await writePrivate(path, `${JSON.stringify(kept)}\n`);
}

export async function forgetSignIn(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** In one rename, and never readable by others on the way. */
export async function writePrivate(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const partial = `${path}.partial`;
    await rm(partial, { force: true });
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    throw fileNotWritten({ path, why: (error as Error).message }, error);
  }
}
