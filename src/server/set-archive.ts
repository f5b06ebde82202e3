/** The archive that moments of a set are read from: the set's own, or one in a repository that is named. */
import type { SetRow } from '../catalog/sets.ts';
import { discovered } from '../contract/values.ts';
import type { Services } from './services.ts';

export type SetArchive = {
  readonly id: string;
  readonly name: string;
  /** As its members know it. */
  readonly replicaSet: string;
  readonly repository: string;
  /** Undefined: it is not protected here. */
  readonly set: SetRow | undefined;
};

/** With a repository named, nothing of the set's own one is asked, and the set need not be protected. */
export async function setArchive(name: string, repository: string | undefined, { sets, archives, catalog }: Pick<Services, 'sets' | 'archives' | 'catalog'>): Promise<SetArchive> {
  if (repository === undefined) return ofProtected(await sets.find(name));
  const row = await archives.find(repository);
  const set = await catalog.sets.find(name);
  const { setId, setName } = await archives.archiveIn(row, set?.id ?? name);
  const known = set ?? (await catalog.sets.find(setId));
  return known === undefined ? { id: setId, name: setName, replicaSet: setName, repository: row.id, set: undefined } : { ...ofProtected(known), repository: row.id };
}

function ofProtected(set: SetRow): SetArchive {
  return { id: set.id, name: set.name, replicaSet: discovered.parse(JSON.parse(set.discovered)).name, repository: set.repository, set };
}
