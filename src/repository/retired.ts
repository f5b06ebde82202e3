/** Packs that a sweep is about to delete: readers still find them, writers build on them no longer. */
import type { Clock } from '../base/clock.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { damageOf, type Damage } from './damage.ts';
import { objectMissing, sweepRunning } from './failures.ts';
import { listLeases, mayBeAtWork } from './lease.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type Retirement = { readonly name: string; readonly atMs: number; readonly packs: readonly string[] };

export async function listRetirements({ storage, names, keys }: ArchiveParts): Promise<{ found: Retirement[]; damaged: Damage[] }> {
  const found: Retirement[] = [];
  const damaged: Damage[] = [];
  for await (const { name } of storage.list(names.retiredAll)) {
    try {
      found.push({ name, ...(openObject(keys.object, name, await storage.read(name)) as Omit<Retirement, 'name'>) });
    } catch (error) {
      if (!isFailure(error, objectMissing)) damaged.push(damageOf(name, error));
    }
  }
  return { found: found.sort((a, b) => (a.name < b.name ? -1 : 1)), damaged };
}

/**
 * What a writer, whose lease is there already, must not build on. Of a retirement that cannot be read only a sweep that
 * runs still knows the packs; without one they are safe, because the next sweep forgets it.
 */
export async function readRetired(parts: ArchiveParts, clock: Clock): Promise<Set<string>> {
  const { found, damaged } = await listRetirements(parts);
  if (damaged.length > 0) {
    // Nothing is broken here, so one whose clock is wrong may be at work, too.
    for (const lease of await listLeases({ storage: parts.storage, names: parts.names, objectKey: parts.keys.object, clock })) {
      if (lease.kind === 'sweep' && (await mayBeAtWork(lease, clock))) throw sweepRunning({ setId: parts.setId });
    }
  }
  return new Set(found.flatMap(({ packs }) => packs));
}

export async function retire({ storage, keys }: ArchiveParts, name: string, atMs: number, packs: readonly string[]): Promise<void> {
  await storage.put(name, sealObject(keys.object, name, { atMs, packs }), 'new');
}
