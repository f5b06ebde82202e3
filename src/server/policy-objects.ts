import type { Catalog } from '../catalog/catalog.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { SetRow } from '../catalog/sets.ts';
import { policyDocument, type PolicyDocument } from '../contract/policies.ts';

export function documentOf(row: PolicyRow): PolicyDocument {
  return policyDocument.parse(JSON.parse(row.document));
}

/** The sets that a policy protects now: its own, and those of its groups that are protected. Both are kept by their ids. */
export async function protectedBy({ groups, sets }: Pick<PolicyDocument, 'groups' | 'sets'>, catalog: Catalog): Promise<SetRow[]> {
  const found = new Set(sets);
  for (const group of groups) for (const { set_id } of await catalog.groups.sets(group)) found.add(set_id);
  return (await catalog.sets.list()).filter(({ id }) => found.has(id));
}

/** The policies that protect a set, disabled ones too: those that name it, or a group that has it. None of a set that is not protected any more. */
export async function policiesOf(setId: string, catalog: Catalog): Promise<{ readonly row: PolicyRow; readonly document: PolicyDocument }[]> {
  if ((await catalog.sets.find(setId)) === undefined) return [];
  const groups = new Set((await catalog.groups.allSets()).flatMap(({ set_id, group_id }) => (set_id === setId ? [group_id] : [])));
  const found = (await catalog.policies.naming([setId, ...groups])).map((row) => ({ row, document: documentOf(row) }));
  return found.filter(({ document }) => document.sets.includes(setId) || document.groups.some((group) => groups.has(group)));
}
