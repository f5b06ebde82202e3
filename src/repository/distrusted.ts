/**
 * Packs in which a check found damage: readers still use what of them is sound, writers build on them no longer.
 *
 * So a backup stores the frames again that it would have taken over from there, and with them every point that needs the
 * same chunks is whole again, the old ones too. A sweep leaves such a pack alone while a point needs something of it, and
 * prefers the other places of its chunks, which is how it ends up empty and goes. What is distrusted stays so: a disk that
 * gave wrong bytes once is not believed because it gave right ones later.
 */
import { isFailure } from '../base/failure.ts';
import { sortableId } from '../base/ids.ts';
import type { Clock } from '../base/clock.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { damageOf, type Damage } from './damage.ts';
import { objectMissing } from './failures.ts';
import { openObject, sealObject } from './sealed-object.ts';

type Distrust = { readonly name: string; readonly packs: readonly string[] };

/** A record that cannot be read is told: the next check finds its packs again. */
async function listDistrust({ storage, names, keys }: ArchiveParts): Promise<{ found: Distrust[]; damaged: Damage[] }> {
  const found: Distrust[] = [];
  const damaged: Damage[] = [];
  for await (const { name } of storage.list(names.distrustedAll)) {
    try {
      found.push({ name, ...(openObject(keys.object, name, await storage.read(name)) as { packs: string[] }) });
    } catch (error) {
      if (!isFailure(error, objectMissing)) damaged.push(damageOf(name, error));
    }
  }
  return { found, damaged };
}

export async function readDistrusted(parts: ArchiveParts): Promise<Set<string>> {
  return new Set((await listDistrust(parts)).found.flatMap(({ packs }) => packs));
}

/** One object for the packs that are not distrusted yet, if there are any. Answers which records cannot be read. */
export async function distrust(parts: ArchiveParts, packs: Iterable<string>, clock: Clock): Promise<Damage[]> {
  const { found, damaged } = await listDistrust(parts);
  const known = new Set(found.flatMap((one) => one.packs));
  const fresh = [...packs].filter((pack) => !known.has(pack)).sort();
  if (fresh.length === 0) return damaged;
  const name = parts.names.distrusted(sortableId(clock));
  await parts.storage.put(name, sealObject(parts.keys.object, name, { atMs: clock.now(), packs: fresh }), 'new');
  return damaged;
}

/** Forgets what is said of packs that are gone, and what cannot be read. */
export async function forgetDistrust(parts: ArchiveParts, there: ReadonlyMap<string, number>): Promise<void> {
  const { found, damaged } = await listDistrust(parts);
  for (const { name, packs } of found) if (!packs.some((pack) => there.has(pack))) await parts.storage.delete(name);
  for (const { object } of damaged) await parts.storage.delete(object);
}
