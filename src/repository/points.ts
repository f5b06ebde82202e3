/** Restore points: the manifest is the point. It exists from the moment its object does, and no other object says so. */
import { atOnce } from '../base/at-once.ts';
import type { ClusterTime, Optime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { nextSortableId } from '../base/ids.ts';
import type { ChunkId } from './chunk.ts';
import { damageOf, type Damage } from './damage.ts';
import { objectMissing, pointExists, pointMissing } from './failures.ts';
import { awaitListed } from './fresh-list.ts';
import { isPlainId, lastPart, type ObjectNames } from './object-names.ts';
import { openObject, sealObject } from './sealed-object.ts';
import type { Storage } from './storage/storage.ts';

/** A bucket takes tens of milliseconds for each, and an archive of years has thousands of points. */
export const readsAtOnce = 16;

/** A file of a point: its chunks' ids stand in list chunks, so a file that did not change shares its list. */
export type StoredFile = { readonly path: string; readonly bytes: number; readonly mode: number; readonly map: readonly ChunkId[] };

export type PointBytes = { readonly processed: number; readonly read: number; readonly transferred: number; readonly stored: number };

/** Of which point, and of which repository, a point is the copy. */
export type CopiedFrom = { readonly repository: string; readonly repositoryName: string; readonly point: string };

export type PointManifest = {
  readonly id: string;
  readonly createdAtMs: number;
  readonly checkpoint: ClusterTime;
  readonly top: Optime;
  /** Of the agent; opaque here. */
  readonly about: unknown;
  readonly files: readonly StoredFile[];
  readonly bytes: PointBytes;
  /** Absent: it was made from a database. */
  readonly copiedFrom?: CopiedFrom;
};

/** A point whose manifest cannot be read: it is there, and nobody can restore it. */
export type HurtPoint = Damage & { readonly point: string };

export type PointStore = {
  /** Newest last. One hurt point hides no other. */
  all(): Promise<{ points: PointManifest[]; hurt: HurtPoint[] }>;
  ids(): Promise<string[]>;
  read(id: string): Promise<PointManifest>;
  /** `replace` is for a manifest that cannot be read. */
  /** Until lists have every point that was read by its name: then they have its packs and index, too. */
  awaitListed(): Promise<void>;
  put(point: PointManifest, how?: 'new' | 'replace'): Promise<number>;
  delete(id: string): Promise<void>;
  /** Behind every one that is there: the order of their names is the order they were made in, whatever a clock said. */
  recordProof(id: string, proof: unknown): Promise<void>;
  /** Oldest first; a record that cannot be read proves nothing. */
  proofs(id: string): Promise<{ proofs: unknown[]; damaged: Damage[] }>;
};

export function pointStore(storage: Storage, objectKey: Uint8Array, names: ObjectNames, setId: string): PointStore {
  /** By name, of points that were read, and of those that some list had. */
  const [unlisted, listed] = [new Set<string>(), new Set<string>()];
  const readObject = async (name: string): Promise<unknown> => openObject(objectKey, name, await storage.read(name));
  const listNames = async (prefix: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of storage.list(prefix)) found.push(name);
    return found.sort();
  };
  const read = async (id: string): Promise<PointManifest> => {
    if (!isPlainId(id)) throw pointMissing({ point: id, setId });
    try {
      const point = (await readObject(names.point(id))) as PointManifest;
      unlisted.add(names.point(id));
      return point;
    } catch (error) {
      throw isFailure(error, objectMissing) ? pointMissing({ point: id, setId }, error) : error;
    }
  };
  const ids = async (): Promise<string[]> => {
    const found = await listNames(names.points);
    for (const name of found) listed.add(name);
    return found.map(lastPart);
  };

  return {
    ids,
    read,
    async awaitListed() {
      const names = [...unlisted].filter((name) => !listed.has(name));
      await awaitListed(storage, names);
      for (const name of names) listed.add(name);
      unlisted.clear();
    },
    async all() {
      const points: PointManifest[] = [];
      const hurt: HurtPoint[] = [];
      await atOnce(readsAtOnce, await ids(), async (id) => {
        try {
          points.push(await read(id));
        } catch (error) {
          if (!isFailure(error, pointMissing)) hurt.push({ point: id, ...damageOf(names.point(id), error) });
        }
      });
      return { points: points.sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1)), hurt: hurt.sort((a, b) => (a.point < b.point ? -1 : 1)) };
    },
    async put(point, how = 'new') {
      if (!isPlainId(point.id)) throw new Error(`"${point.id}" cannot name a restore point`);
      const bytes = sealObject(objectKey, names.point(point.id), point);
      if ((await storage.put(names.point(point.id), bytes, how)) === 'exists') throw pointExists({ point: point.id });
      return bytes.length;
    },
    async delete(id) {
      if (!isPlainId(id)) throw pointMissing({ point: id, setId });
      await storage.delete(names.point(id));
      for (const name of await listNames(names.proofs(id))) await storage.delete(name);
    },
    async recordProof(id, proof) {
      const name = names.proof(id, nextSortableId((await listNames(names.proofs(id))).map(lastPart)));
      await storage.put(name, sealObject(objectKey, name, proof), 'new');
    },
    async proofs(id) {
      const proofs: unknown[] = [];
      const damaged: Damage[] = [];
      for (const name of await listNames(names.proofs(id))) {
        try {
          proofs.push(await readObject(name));
        } catch (error) {
          if (!isFailure(error, objectMissing)) damaged.push(damageOf(name, error));
        }
      }
      return { proofs, damaged };
    },
  };
}
