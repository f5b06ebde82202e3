/**
 * What goes on for the points of sets that a policy has no more (docs/design/retention.md, "Orphans").
 *
 * It is written before the set leaves: a kill between the two leaves one rule more, which keeps more and not less.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { OrphanRow, PolicyRow } from '../catalog/policies.ts';
import type { Clock } from '../base/clock.ts';
import { policyDocument } from '../contract/policies.ts';
import { protectedBy } from './policy-objects.ts';

type Known = { readonly catalog: Catalog; readonly clock: Clock };

/** The rule of a policy, for sets that it has no more. */
export function orphansOf({ id, name, document }: PolicyRow, sets: readonly string[], clock: Clock): OrphanRow[] {
  const { retention, timeZone } = policyDocument.parse(JSON.parse(document));
  return sets.map((set_id) => ({ set_id, policy: id, policy_name: name, retention: JSON.stringify(retention), time_zone: timeZone, since_ms: clock.now() }));
}

/** Before a set is not protected any more. */
export async function orphanSet(setId: string, { catalog, clock }: Known): Promise<void> {
  for (const row of await catalog.policies.list()) {
    if ((await setsOf(row, catalog)).has(setId)) await catalog.policies.putOrphans(orphansOf(row, [setId], clock));
  }
}

/** Before sets leave a group: of each policy that has them by that group alone. */
export async function orphanOutOfGroup(group: string, sets: readonly string[], { catalog, clock }: Known): Promise<void> {
  for (const row of await catalog.policies.list()) {
    if (!policyDocument.parse(JSON.parse(row.document)).groups.includes(group)) continue;
    const [now, then] = [await setsOf(row, catalog), await setsOf(row, catalog, group)];
    const leaving = sets.filter((id) => now.has(id) && !then.has(id));
    await catalog.policies.putOrphans(orphansOf(row, leaving, clock));
  }
}

async function setsOf({ document }: PolicyRow, catalog: Catalog, without?: string): Promise<Set<string>> {
  const { groups, sets } = policyDocument.parse(JSON.parse(document));
  return new Set((await protectedBy({ groups: groups.filter((id) => id !== without), sets }, catalog)).map(({ id }) => id));
}
