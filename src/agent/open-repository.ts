/** Makes a repository, or opens the one that is there: what `repository add` and `repository import` ask of the host of the place. */
import type { OrderHandlers } from '../contract/link/answerer.ts';
import { lockNotKept } from '../repository/failures.ts';
import { immutableOf, readImmutable } from '../repository/immutable.ts';
import { createRepository, openRepository } from '../repository/repository.ts';
import { openStorage } from '../repository/storage/open-storage.ts';
import { withStorage } from './archive-access.ts';

export const openOrMake: OrderHandlers['repository.open'] = async ({ location, secret, passphrase, create, attach, immutable }) => {
  const place = { location, secret };
  return await withStorage(place, { create, isNew: !attach && immutable === null, isReadOnly: attach }, async (storage) => {
    if (!create || (await storage.stat('tidemark.json')) !== undefined) {
      const { id, key } = await openRepository(storage, passphrase);
      const found = immutableOf(storage) ?? (await readImmutable(storage));
      if (immutable !== null && (found?.days ?? 0) < immutable.days) {
        throw lockNotKept({ place: storage.place, what: found === undefined ? 'it holds a repository that is not immutable' : `its repository keeps everything for ${found.days} days; raise them with "tidemark repository immutable"` });
      }
      return { repositoryId: id, keyHex: Buffer.from(key).toString('hex'), created: false, immutable: found ?? null };
    }
    const kept = immutable === null ? storage : await openStorage(place, { create, isNew: true, immutable });
    try {
      const { id, key } = await createRepository(kept, passphrase);
      return { repositoryId: id, keyHex: Buffer.from(key).toString('hex'), created: true, immutable };
    } finally {
      if (kept !== storage) await kept.close?.();
    }
  });
};
