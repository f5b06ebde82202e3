/** How a copy is made by what a policy says; and by which policy, where no run of one begins it (docs/design/policies.md). */
import type { Catalog } from '../catalog/catalog.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { PolicyDocument } from '../contract/policies.ts';
import { heldAs } from './bandwidth.ts';
import { plainBackup, type BackupWish } from './flows/backup.ts';
import { policiesOf } from './policy-objects.ts';

export type CountingPolicy = { readonly row: PolicyRow; readonly document: PolicyDocument };

export function wishBy(document: PolicyDocument, setId: string): BackupWish {
  const override = document.overrides[setId] ?? {};
  return { ...plainBackup(setId), compression: override.compression ?? document.compression, node: { ...document.source, preferred: override.preferredNode ?? null }, hooks: document.hooks, proof: document.proof, limits: heldAs(`policy ${document.name}`, document.bandwidth) };
}

/** Of the enabled policies that have the set: one of high priority before others, then the one whose run comes next, because its backup is only made earlier. */
export async function policyFor(setId: string, catalog: Catalog): Promise<CountingPolicy | undefined> {
  const enabled = (await policiesOf(setId, catalog)).filter(({ row }) => row.is_enabled === 1);
  const isHigh = ({ document }: CountingPolicy): number => Number(document.highPriority);
  const next = ({ row }: CountingPolicy): number => row.next_ms ?? Number.MAX_SAFE_INTEGER;
  return enabled.sort((a, b) => isHigh(b) - isHigh(a) || next(a) - next(b) || (a.row.id < b.row.id ? -1 : 1))[0];
}

/** Of a backup that somebody asks for outside the runs of policies. It is proved in any case: nothing but a proof settles an alarm. */
export function wishOutsideRuns(policy: CountingPolicy | undefined, setId: string): BackupWish {
  return policy === undefined ? plainBackup(setId) : { ...wishBy(policy.document, setId), policy: policy.row.name, proof: 'open' };
}

/** The policies that keep an alarm of a set from being answered by itself: all the enabled ones it has, or none. */
export async function withoutNewBase(setId: string, catalog: Catalog): Promise<string[]> {
  const enabled = (await policiesOf(setId, catalog)).filter(({ row }) => row.is_enabled === 1);
  return enabled.every(({ document }) => !document.newBase) ? enabled.map(({ row }) => row.name) : [];
}
