import type { Storage, StorageWriter } from '../../src/repository/storage/storage.ts';

/** A change that is about to be made; `number` counts all of them from 1. */
export type Change = { readonly number: number; readonly kind: 'put' | 'create' | 'append' | 'commit' | 'delete'; readonly name: string };

export type Fault =
  | 'pass'
  /** The process dies: the change is not made, and nothing after it. */
  | 'die-before'
  /** The change is made, and nothing after it. */
  | 'die-after'
  /** Only this change fails, with this error. */
  | Error;

export type FaultyStorage = Storage & { readonly changes: readonly Change[]; readonly isDead: boolean };

export class Died extends Error {
  constructor() {
    super('the process died here');
    this.name = 'Died';
  }
}

/** Storage that does what a script says at each change: dies, fails, or goes on. */
export function faultyStorage(inner: Storage, script: (change: Change) => Fault): FaultyStorage {
  const changes: Change[] = [];
  let isDead = false;
  const alive = (): void => {
    if (isDead) throw new Died();
  };
  const change = async <T>(kind: Change['kind'], name: string, make: () => Promise<T>): Promise<T> => {
    alive();
    const one: Change = { number: changes.length + 1, kind, name };
    changes.push(one);
    const fault = script(one);
    if (fault === 'die-before') isDead = true;
    alive();
    if (fault instanceof Error) throw fault;
    const made = await make();
    if (fault === 'die-after') isDead = true;
    alive();
    return made;
  };
  const watched = (name: string, writer: StorageWriter): StorageWriter => ({
    append: async (bytes) => await change('append', name, async () => await writer.append(bytes)),
    commit: async () => await change('commit', name, async () => await writer.commit()),
    abort: async () => await writer.abort(),
  });
  return {
    place: inner.place,
    changes,
    get isDead() {
      return isDead;
    },
    async *list(prefix) {
      alive();
      yield* inner.list(prefix);
    },
    stat: async (name) => {
      alive();
      return await inner.stat(name);
    },
    read: async (name, range) => {
      alive();
      return await inner.read(name, range);
    },
    put: async (name, bytes, how) => await change('put', name, async () => await inner.put(name, bytes, how)),
    create: async (name) => watched(name, await change('create', name, async () => await inner.create(name))),
    delete: async (name) => await change('delete', name, async () => await inner.delete(name)),
    freeBytes: async () => await inner.freeBytes(),
  };
}
