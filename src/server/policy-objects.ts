import type { Catalog } from '../catalog/catalog.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { SetRow } from '../catalog/sets.ts';
import { policyDocument, type PolicyDocument } from '../contract/policies.ts';

export function documentOf(row: PolicyRow): PolicyDocument {
  return policyDocument.parse(JSON.parse(row.document));
}

/** What policies may name, read once for however many of them are looked at. */
export type PolicyObjects = { readonly sets: readonly SetRow[]; readonly memberships: readonly { readonly group_id: string; readonly set_id: string }[] };

export async function policyObjects(catalog: Catalog): Promise<PolicyObjects> {
  const [sets, memberships] = await Promise.all([catalog.sets.list(), catalog.groups.memberships()]);
  return { sets, memberships };
}

/** The sets that a policy protects now: its own, and those of its groups that are protected. Both are kept by their ids. */
export function protectedAmong(document: Pick<PolicyDocument, 'groups' | 'sets'>, { sets, memberships }: PolicyObjects): SetRow[] {
  const groups = new Set(document.groups);
  const found = new Set([...document.sets, ...memberships.flatMap(({ group_id, set_id }) => (groups.has(group_id) ? [set_id] : []))]);
  return sets.filter(({ id }) => found.has(id));
}

export async function protectedBy(document: Pick<PolicyDocument, 'groups' | 'sets'>, catalog: Catalog): Promise<SetRow[]> {
  return protectedAmong(document, await policyObjects(catalog));
}

/** The policies that protect a set, disabled ones too: those that name it, or a group that has it. None of a set that is not protected any more. */
export async function policiesOf(setId: string, catalog: Catalog): Promise<{ readonly row: PolicyRow; readonly document: PolicyDocument }[]> {
  if ((await catalog.sets.find(setId)) === undefined) return [];
  const groups = new Set((await catalog.groups.memberships()).flatMap(({ set_id, group_id }) => (set_id === setId ? [group_id] : [])));
  const found = (await catalog.policies.naming([setId, ...groups])).map((row) => ({ row, document: documentOf(row) }));
  return found.filter(({ document }) => document.sets.includes(setId) || document.groups.some((group) => groups.has(group)));
}
