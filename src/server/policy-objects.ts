import type { Catalog } from '../catalog/catalog.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { SetRow } from '../catalog/sets.ts';
import { policyDocument, type PolicyDocument } from '../contract/policies.ts';

/** By their text: thousands are read each minute and hardly one is another. What is given out is changed by nobody. */
const understood = new Map<string, PolicyDocument>();
const mostUnderstood = 20_000;

export function documentOf({ document: text }: Pick<PolicyRow, 'document'>): PolicyDocument {
  const known = understood.get(text);
  if (known !== undefined) return known;
  const document = policyDocument.parse(JSON.parse(text));
  if (understood.size >= mostUnderstood) understood.clear();
  understood.set(text, document);
  return document;
}

/** What policies may name, by ids, read once for however many of them are looked at. */
export type PolicyObjects = { readonly sets: ReadonlyMap<string, SetRow>; /** The sets of each group. */ readonly groups: ReadonlyMap<string, readonly string[]> };

export async function policyObjects(catalog: Catalog): Promise<PolicyObjects> {
  const [sets, memberships] = await Promise.all([catalog.sets.list(), catalog.groups.memberships()]);
  const groups = new Map([...Map.groupBy(memberships, ({ group_id }) => group_id)].map(([group, of]) => [group, of.map(({ set_id }) => set_id)]));
  return { sets: new Map(sets.map((row) => [row.id, row])), groups };
}

/** The sets that a policy protects now, by name: its own, and those of its groups that are protected. Both are kept by their ids. */
export function protectedAmong(document: Pick<PolicyDocument, 'groups' | 'sets'>, { sets, groups }: PolicyObjects): SetRow[] {
  const found = new Set([...document.sets, ...document.groups.flatMap((group) => groups.get(group) ?? [])]);
  const rows = [...found].flatMap((id) => sets.get(id) ?? []);
  return rows.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export async function protectedBy(document: Pick<PolicyDocument, 'groups' | 'sets'>, catalog: Catalog): Promise<SetRow[]> {
  return protectedAmong(document, await policyObjects(catalog));
}

/** The policies that protect a set, disabled ones too: those that name it, or a group that has it. None of a set that is not protected any more. */
export async function policiesOf(setId: string, catalog: Catalog): Promise<{ readonly row: PolicyRow; readonly document: PolicyDocument }[]> {
  if ((await catalog.sets.find(setId)) === undefined) return [];
  const group = (await catalog.groups.set(setId))?.group_id;
  const found = await catalog.policies.naming(group === undefined ? [setId] : [setId, group]);
  return found.map((row) => ({ row, document: documentOf(row) }));
}
