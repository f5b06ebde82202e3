/** How many copies are made at once: of the whole, and what hosts and repositories have in place of the usual number (docs/design/policies.md, "Limits"). */
import type { Catalog } from '../catalog/catalog.ts';
import { usualCopies, type Limits } from '../domain/policy-run.ts';

const key = 'copies.at-once';

export type CopyLimits = ReturnType<typeof openCopyLimits>;

export function openCopyLimits({ settings, hosts, repositories }: Pick<Catalog, 'settings' | 'hosts' | 'repositories'>) {
  const ofServer = async (): Promise<number> => Number((await settings.get(key)) ?? usualCopies.server);
  return {
    ofServer,
    setOfServer: async (copies: number): Promise<void> => await settings.put(key, String(copies)),
    all: async (): Promise<Limits> => ({ server: await ofServer(), hosts: await hosts.copiesAtOnce(), repositories: await repositories.copiesAtOnce() }),
  };
}
