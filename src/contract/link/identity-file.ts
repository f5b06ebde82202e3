/**
 * The file that gives a service its place on the link: key, certificate and CA in one JSON file of mode 0600, replaced
 * in one rename, so that a reader never meets a key of one issue and a certificate of another.
 */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { until } from '../../base/deadline.ts';
import type { LinkIdentity } from './trust.ts';

const identity = z.object({ keyPem: z.string(), certificatePem: z.string(), caPem: z.string() });

export async function readIdentity(path: string): Promise<LinkIdentity | undefined> {
  try {
    return identity.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Waits for the file: on one machine, server and transport start together and the server writes it first. */
export async function awaitIdentity(path: string, ms = 30_000, signal?: AbortSignal): Promise<LinkIdentity> {
  return await until(`the identity file ${path}`, ms, async () => await readIdentity(path), { everyMs: 50, signal });
}

/** Calls back with each new issue of the file until the signal is aborted. */
export function watchIdentity(path: string, onNew: (identity: LinkIdentity) => void, signal: AbortSignal, everyMs = 60_000): void {
  let seen: string | undefined;
  const look = async (): Promise<void> => {
    const found = await readIdentity(path).catch(() => undefined);
    if (found === undefined || signal.aborted) return;
    if (seen !== undefined && seen !== found.certificatePem) onNew(found);
    seen = found.certificatePem;
  };
  void look();
  const timer = setInterval(() => void look(), everyMs);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
