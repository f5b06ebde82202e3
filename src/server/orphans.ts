/**
 * What goes on for the points of sets that a policy has no more (docs/design/retention.md, "Orphans").
 *
 * It is written before the set leaves: a kill between the two leaves one rule more, which keeps more and not less.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { OrphanRow, PolicyRow } from '../catalog/policies.ts';
import type { Clock } from '../base/clock.ts';
import { documentOf, policiesOf, protectedBy } from './policy-objects.ts';

type Known = { readonly catalog: Catalog; readonly clock: Clock };

/** The rule of a policy, for sets that it has no more. */
export function orphansOf(row: PolicyRow, sets: readonly string[], clock: Clock): OrphanRow[] {
  const { retention, timeZone } = documentOf(row);
  return sets.map((set_id) => ({ set_id, policy: row.id, policy_name: row.name, retention: JSON.stringify(retention), time_zone: timeZone, since_ms: clock.now() }));
}

/** Before a set is not protected any more. */
export async function orphanSet(setId: string, { catalog, clock }: Known): Promise<void> {
  for (const { row } of await policiesOf(setId, catalog)) await catalog.policies.putOrphans(orphansOf(row, [setId], clock));
}

/** Before sets leave a group: of each policy that has them by that group alone. */
export async function orphanOutOfGroup(group: string, sets: readonly string[], { catalog, clock }: Known): Promise<void> {
  for (const row of await catalog.policies.list()) {
    if (!documentOf(row).groups.includes(group)) continue;
    const [now, then] = [await setsOf(row, catalog), await setsOf(row, catalog, group)];
    const leaving = sets.filter((id) => now.has(id) && !then.has(id));
    await catalog.policies.putOrphans(orphansOf(row, leaving, clock));
  }
}

async function setsOf(row: PolicyRow, catalog: Catalog, without?: string): Promise<Set<string>> {
  const { groups, sets } = documentOf(row);
  return new Set((await protectedBy({ groups: groups.filter((id) => id !== without), sets }, catalog)).map(({ id }) => id));
}
