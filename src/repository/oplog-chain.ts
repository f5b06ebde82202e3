import { blake3 } from '@napi-rs/blake-hash';
import { sameTime, type Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { chainMissing, objectDamaged, objectMissing } from './failures.ts';
import { isPlainId } from './object-names.ts';
import type { ChainStart } from './oplog-archive.ts';
import { openObject } from './sealed-object.ts';

export type StoredChain = { readonly form: 1; readonly startedAtMs: number; readonly start: ChainStart };

/** What the first slice's header carries as the hash before it. */
export function chainRoot(chain: string, { start }: StoredChain): string {
  return blake3(Buffer.from(JSON.stringify([chain, start.after.t, start.after.i, start.after.term]))).toString('hex');
}

export async function readChain({ storage, keys, names }: ArchiveParts, chain: string): Promise<StoredChain> {
  if (!isPlainId(chain)) throw chainMissing({ chain });
  const name = names.chainStart(chain);
  try {
    return openObject(keys.object, name, await storage.read(name)) as StoredChain;
  } catch (error) {
    throw isFailure(error, objectMissing) ? chainMissing({ chain }, error) : error;
  }
}

/** Undefined where nobody knows where the chain leads: its start is damaged or gone. */
export async function readableChain(parts: ArchiveParts, chain: string): Promise<StoredChain | undefined> {
  try {
    return await readChain(parts, chain);
  } catch (error) {
    if (!isFailure(error, objectDamaged) && !isFailure(error, chainMissing)) throw error;
    return undefined;
  }
}

/** The same entry, not only the same moment: a rollback can put another one there in another term. */
export function isSameEntry(a: Optime, b: Optime): boolean {
  return sameTime(a, b) && a.term === b.term;
}
