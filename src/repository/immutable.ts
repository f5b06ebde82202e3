/**
 * For how long a repository keeps its objects: in its descriptor, in clear, because whoever opens the place has to know it
 * before anything is written, and holds no key. It may be raised: the highest of the descriptor and of `immutable/<days>` counts,
 * and both are kept like everything else, so that nobody lowers it.
 */
import { isFailure } from '../base/failure.ts';
import { immutableNotLowered, lockNotKept, objectDamaged, objectMissing, objectRetained } from './failures.ts';
import { descriptorNames, immutablePrefix, lastPart } from './object-names.ts';
import type { Immutable, Storage } from './storage/storage.ts';

/** A hundred years; a longer time is a mistake, or somebody who wants to fill the place for good. */
export const mostDays = 36_500;

export const dayMs = 86_400_000;

/** False: it is retained, and stays. */
export async function deleteUnlessRetained(storage: Pick<Storage, 'delete'>, name: string): Promise<boolean> {
  try {
    await storage.delete(name);
    return true;
  } catch (error) {
    if (!isFailure(error, objectRetained)) throw error;
    return false;
  }
}

function parse(object: string, bytes: Uint8Array): Immutable | undefined {
  let value: unknown;
  try {
    value = (JSON.parse(Buffer.from(bytes).toString()) as { immutable?: unknown }).immutable;
  } catch (cause) {
    throw objectDamaged({ object, what: 'it is not JSON' }, cause);
  }
  if (value === undefined) return undefined;
  const { days, mode } = value as Partial<Immutable>;
  if (!isDays(days) || (mode !== null && mode !== 'compliance' && mode !== 'governance')) throw objectDamaged({ object, what: 'for how long it is immutable is not of its form' });
  return { days, mode };
}

function isDays(days: unknown): days is number {
  return typeof days === 'number' && Number.isInteger(days) && days >= 1 && days <= mostDays;
}

/**
 * Of a place that holds a repository, or none. Either copy of the descriptor tells it; the longer one counts. Where both are damaged
 * nothing is known and nothing retained: locked copies are damaged by a disk alone, and a check tells it.
 */
export async function readImmutable(storage: Pick<Storage, 'read' | 'list'>): Promise<Immutable | undefined> {
  let found: Immutable | undefined;
  for (const name of descriptorNames) {
    try {
      const one = parse(name, await storage.read(name));
      if (one !== undefined && one.days > (found?.days ?? 0)) found = one;
    } catch (error) {
      if (!isFailure(error, objectDamaged) && !isFailure(error, objectMissing)) throw error;
    }
  }
  if (found === undefined) return undefined;
  for await (const { name } of storage.list(immutablePrefix)) {
    const days = Number(lastPart(name));
    if (isDays(days) && days > found.days) found = { ...found, days };
  }
  return found;
}

/** Of a storage that was opened. */
export function immutableOf({ retention }: Storage): Immutable | undefined {
  return retention?.days === undefined ? undefined : { days: retention.days, mode: retention.mode ?? null };
}

/** What was put before keeps its own time until the next point needs it. Holds for whoever opens the place from now on. */
export async function raiseImmutable(storage: Storage, days: number): Promise<void> {
  const now = immutableOf(storage);
  if (now === undefined) throw lockNotKept({ place: storage.place, what: 'it was made without, and what is there is not locked' });
  if (days < now.days) throw immutableNotLowered({ place: storage.place, days: now.days, wanted: days });
  if (days === now.days) return;
  await storage.put(`${immutablePrefix}${String(days).padStart(5, '0')}`, Buffer.from('{}\n'), 'new');
}

/** What every point needs besides its own archive. */
export async function keepDescriptor(storage: Storage): Promise<void> {
  const names: string[] = [...descriptorNames];
  for await (const { name } of storage.list(immutablePrefix)) names.push(name);
  await storage.retention?.retain(names);
}
