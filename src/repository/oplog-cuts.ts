/**
 * Cuts: in the place of entries of a chain that retention removed (docs/design/oplog-retention.md).
 *
 * A cut says of (after, through] what a slice's header says: both ends with their terms, the hash of what stands before it, and
 * the hash that what comes next carries. So a chain is proved across a cut as it is across a slice.
 */
import { timeKey, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { objectDamaged, oplogDamaged } from './failures.ts';
import { lastPart } from './object-names.ts';
import type { Link } from './oplog-reader.ts';
import { openObject, sealObject } from './sealed-object.ts';

export type Cut = { readonly after: Optime; readonly through: Optime; readonly previous: string; readonly hash: string };

export function cutName({ names }: ArchiveParts, chain: string, after: ClusterTime, through: ClusterTime): string {
  return `${names.cuts(chain)}${timeKey(after)}-${timeKey(through)}`;
}

/** The gap is there when it resolves. */
export async function putCut(parts: ArchiveParts, chain: string, { after, through, previous, hash }: Cut): Promise<void> {
  const name = cutName(parts, chain, after, through);
  await parts.storage.put(name, sealObject(parts.keys.object, name, { form: 1, after, through, previous, hash }), 'new');
}

export async function openCut({ storage, keys }: ArchiveParts, chain: string, name: string): Promise<Link> {
  try {
    const { after, through, previous, hash } = openObject(keys.object, name, await storage.read(name)) as Cut;
    return { header: { after, through, previous }, hash };
  } catch (error) {
    throw isFailure(error, objectDamaged) ? oplogDamaged({ chain, slice: lastPart(name), what: 'the record of what was cut is not what was written' }, error) : error;
  }
}
