import type { Archive, PointManifest } from '../repository/archive.ts';
import { aboutOf, verdictOn } from './point-about.ts';

export type BasePoint =
  | { readonly kind: 'base'; readonly point: PointManifest }
  /** Everything is read: nothing is taken for unchanged. */
  | { readonly kind: 'full-read'; readonly why: string };

/**
 * The point that a backup of `source` is compared with: the newest of the same member, else the newest. One that failed its
 * proof is no base, and no older one takes its place: what went wrong may be in what was taken for unchanged since then.
 */
export async function chooseBase(archive: Archive, source: string): Promise<BasePoint> {
  const points = await archive.points();
  const point = points.findLast((known) => aboutOf(known).source === source) ?? points.at(-1);
  if (point === undefined) return { kind: 'full-read', why: 'this is the first restore point' };
  const verdict = verdictOn((await archive.proofs(point.id)).proofs);
  if (verdict?.ok === false) return { kind: 'full-read', why: `restore point ${point.id} did not pass its proof: ${verdict.says}` };
  return { kind: 'base', point };
}
