import { objectMissing, objectShort } from '../../src/repository/failures.ts';
import type { Storage, StorageWriter } from '../../src/repository/storage/storage.ts';

export type MemoryStorage = Storage & {
  /** The objects, for tests that damage them. */
  readonly objects: Map<string, { bytes: Uint8Array; modifiedMs: number }>;
  copy(): MemoryStorage;
};

/** Storage in memory: as durable as the test that holds it. */
export function memoryStorage(now: () => number = () => Date.now()): MemoryStorage {
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
      set(name, bytes);
      return 'stored';
    },
    async create(name): Promise<StorageWriter> {
      let parts: Uint8Array[] | undefined = [];
      return {
        append: async (bytes) => void parts!.push(Uint8Array.from(bytes)),
        async commit() {
          set(name, Buffer.concat(parts!));
          parts = undefined;
        },
        abort: async () => void (parts = undefined),
      };
    },
    delete: async (name) => void objects.delete(name),
    freeBytes: async () => null,
  };
}
