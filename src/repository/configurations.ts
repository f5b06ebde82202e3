/**
 * Copies of the configuration of servers that use this repository, opaque to it: `server/<installation>/<time id>`. The new one is durable
 * before old ones go, and one that may not be deleted yet stays.
 */
import { isFailure } from '../base/failure.ts';
import type { Storage } from './storage/storage.ts';

const prefix = 'server/';

export async function keepConfiguration(storage: Storage, name: string, bytes: Uint8Array, keep: number): Promise<void> {
  await storage.put(name, bytes, 'new');
  const names = (await listConfigurations(storage)).filter((one) => one.startsWith(name.slice(0, name.lastIndexOf('/') + 1)));
  for (const old of names.slice(keep)) {
    try {
      await storage.delete(old);
    } catch (error) {
      if (!isFailure(error)) throw error;
      return;
    }
  }
}

/** Their names, the newest first. */
export async function listConfigurations(storage: Storage): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list(prefix)) names.push(name);
  const timeOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
  return names.sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));
}
