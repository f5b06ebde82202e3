/** Packs that a sweep is about to delete: readers still find them, writers build on them no longer. */
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { objectMissing } from './failures.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type Retirement = { readonly name: string; readonly atMs: number; readonly packs: readonly string[] };

export async function listRetirements({ storage, names, keys }: ArchiveParts): Promise<Retirement[]> {
  const found: Retirement[] = [];
  for await (const { name } of storage.list(names.retiredAll)) {
    try {
      found.push({ name, ...(openObject(keys.object, name, await storage.read(name)) as Omit<Retirement, 'name'>) });
    } catch (error) {
      if (!isFailure(error, objectMissing)) throw error;
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function readRetired(parts: ArchiveParts): Promise<Set<string>> {
  return new Set((await listRetirements(parts)).flatMap(({ packs }) => packs));
}

export async function retire({ storage, keys }: ArchiveParts, name: string, atMs: number, packs: readonly string[]): Promise<void> {
  await storage.put(name, sealObject(keys.object, name, { atMs, packs }), 'new');
}
