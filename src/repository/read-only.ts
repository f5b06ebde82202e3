import { placeReadOnly } from './failures.ts';
import type { Storage } from './storage/storage.ts';

/** A storage of somebody else's repository: whoever would change something is refused. */
export function readOnly(storage: Storage): Storage {
  const refuse = async (): Promise<never> => await Promise.reject(placeReadOnly({ place: storage.place }));
  const { place, list, stat, read, freeBytes, close } = storage;
  return { place, appendOnly: true, list, stat, read, freeBytes, put: refuse, create: refuse, delete: refuse, ...(close !== undefined && { close }) };
}
