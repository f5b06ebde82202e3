import type { Catalog } from '../catalog/catalog.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { PolicyDocument } from '../contract/policies.ts';

/** The sets that a policy protects now: its own, and those of its groups that are protected. Both are kept by their ids. */
export async function protectedBy({ groups, sets }: Pick<PolicyDocument, 'groups' | 'sets'>, catalog: Catalog): Promise<SetRow[]> {
  const found = new Set(sets);
  for (const group of groups) for (const { set_id } of await catalog.groups.sets(group)) found.add(set_id);
  return (await catalog.sets.list()).filter(({ id }) => found.has(id));
}
