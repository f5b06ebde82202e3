import { openDataSession, openHosts, servedSet } from '../kit/data-session.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { storageConformance } from './storage.ts';

/** The names of the suite, as names of an archive: below its oplog, where a session may do all that it may do anywhere. */
function below(storage: Storage, prefix: string): Storage {
  return {
    place: storage.place,
    async *list(wanted) {
      for await (const object of storage.list(prefix + wanted)) yield { ...object, name: object.name.slice(prefix.length) };
    },
    stat: async (name) => {
      const found = await storage.stat(prefix + name);
      return found === undefined ? undefined : { ...found, name };
    },
    read: async (name, range) => await storage.read(prefix + name, range),
    put: async (name, bytes, how) => await storage.put(prefix + name, bytes, how),
    create: async (name) => await storage.create(prefix + name),
    delete: async (name) => await storage.delete(prefix + name),
    freeBytes: async () => await storage.freeBytes(),
  };
}

storageConformance('a data channel', async (t) => {
  const hosts = await openHosts(t);
  const open = async (): Promise<Storage> => below(await (await openDataSession(t, hosts)).open(), `sets/${servedSet}/oplog/`);
  return { storage: await open(), again: open };
});
