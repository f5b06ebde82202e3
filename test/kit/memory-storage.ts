import { objectMissing, objectRetained, objectShort } from '../../src/repository/failures.ts';
import { dayMs } from '../../src/repository/immutable.ts';
import { isKeptFromPut } from '../../src/repository/object-names.ts';
import type { Immutable, Retention, Storage, StorageWriter } from '../../src/repository/storage/storage.ts';

export type MemoryStorage = Storage & {
  /** The objects, for tests that damage them. */
  readonly objects: Map<string, { bytes: Uint8Array; modifiedMs: number }>;
  copy(): MemoryStorage;
};

/** Storage in memory: as durable as the test that holds it. Where it is immutable, it locks by `now`. */
export function memoryStorage(now: () => number = () => Date.now(), immutable?: Immutable): MemoryStorage {
  const retained = new Map<string, number>();
  const retention: Required<Retention> | undefined = immutable && {
    ...immutable,
    async retain(names) {
      for (const name of names) {
        if (!objects.has(name)) throw objectMissing({ object: name, place: 'memory' });
        if ((retained.get(name) ?? 0) < now() + immutable.days * dayMs) retained.set(name, now() + immutable.days * dayMs * 1.1);
      }
    },
    until: async (names) => names.map((name) => ((retained.get(name) ?? 0) > now() ? retained.get(name)! : null)),
    tryLock: async () => [],
  };
  const requireFree = (name: string): void => {
    const untilMs = retained.get(name) ?? 0;
    if (objects.has(name) && untilMs > now()) throw objectRetained({ object: name, place: 'memory', until: new Date(untilMs).toISOString() });
  };
  const retainPut = async (name: string): Promise<void> => {
    if (isKeptFromPut(name)) await retention?.retain([name]);
  };
  const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
  const set = (name: string, bytes: Uint8Array): void => void objects.set(name, { bytes: Uint8Array.from(bytes), modifiedMs: now() });
  return {
    place: 'memory',
    objects,
    copy() {
      const other = memoryStorage(now);
      for (const [name, { bytes, modifiedMs }] of objects) other.objects.set(name, { bytes: Uint8Array.from(bytes), modifiedMs });
      return other;
    },
    async *list(prefix) {
      for (const [name, { bytes, modifiedMs }] of [...objects]) if (name.startsWith(prefix)) yield { name, bytes: bytes.length, modifiedMs };
    },
    async stat(name) {
      const object = objects.get(name);
      return object === undefined ? undefined : { name, bytes: object.bytes.length, modifiedMs: object.modifiedMs };
    },
    async read(name, range) {
      const object = objects.get(name);
      if (object === undefined) throw objectMissing({ object: name, place: 'memory' });
      const { from, bytes } = range ?? { from: 0, bytes: object.bytes.length };
      const got = object.bytes.slice(from, from + bytes);
      if (got.length < bytes) throw objectShort({ object: name, place: 'memory', wanted: bytes, got: got.length });
      return got;
    },
    async put(name, bytes, how) {
      if (how === 'new' && objects.has(name)) return 'exists';
      requireFree(name);
      set(name, bytes);
      await retainPut(name);
      return 'stored';
    },
    async create(name): Promise<StorageWriter> {
      let parts: Uint8Array[] | undefined = [];
      return {
        append: async (bytes) => void parts!.push(Uint8Array.from(bytes)),
        async commit() {
          requireFree(name);
          set(name, Buffer.concat(parts!));
          parts = undefined;
          await retainPut(name);
        },
        abort: async () => void (parts = undefined),
      };
    },
    async delete(name) {
      requireFree(name);
      objects.delete(name);
      retained.delete(name);
    },
    ...(retention !== undefined && { retention }),
    freeBytes: async () => null,
  };
}
