import type { Storage, StoredObject } from '../../src/repository/storage/storage.ts';

/** Another view of the same place, whose lists stand still from `hold` to `release`. */
export function laggingStorage(inner: Storage): { direct: Storage; lagging: Storage; hold(): Promise<void>; release(): void; readonly oldLists: number } {
  let held: StoredObject[] | undefined;
  let oldLists = 0;
  return {
    direct: inner,
    lagging: {
      ...inner,
      async *list(prefix) {
        if (held === undefined) return yield* inner.list(prefix);
        oldLists += 1;
        yield* held.filter(({ name }) => name.startsWith(prefix));
      },
    },
    async hold() {
      held = await Array.fromAsync(inner.list(''));
    },
    release: () => void (held = undefined),
    get oldLists() {
      return oldLists;
    },
  };
}
