import { laneTaken } from '../../../catalog/failures.ts';
import type { RepositoryRow } from '../../../catalog/repositories.ts';
import { isFailure } from '../../../base/failure.ts';
import type { Session } from '../../../contract/sessions.ts';
import { isOpenedStraight } from '../../../contract/repository-place.ts';
import { adopt, importRepository } from '../../adoption.ts';
import { locationOf } from '../../archives.ts';
import { copyToItself } from '../../copy-failures.ts';
import { questionNotUnderstood, repositoryBusy } from '../../failures.ts';
import { readGateways } from '../../gateway-wish.ts';
import type { CheckWish } from '../../flows/check.ts';
import type { RepairWish } from '../../flows/repair.ts';
import type { SweepWish } from '../../flows/sweep.ts';
import type { TestRepositoryWish } from '../../flows/test-repository.ts';
import { laneOf } from '../../session-engine.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type RepositoryRoutes = 'repository.add' | 'repository.import' | 'repository.adopt' | 'repository.repair' | 'repository.list' | 'repository.show' | 'repository.limit' | 'repository.immutable' | 'repository.gateway' | 'repository.reread' | 'repository.sweeps' | 'repository.check' | 'repository.test' | 'repository.sweep';

export function repositoryHandlers(services: Services): Pick<Handlers, RepositoryRoutes> {
  const { archives, catalog, engine, viewSession } = services;

  async function start(row: RepositoryRow, kind: 'check' | 'test' | 'sweep' | 'repair', wish: CheckWish | TestRepositoryWish | SweepWish | RepairWish): Promise<Session> {
    const object = { kind: 'repository', id: row.id, name: row.name } as const;
    try {
      return await viewSession(await engine.start({ kind, object, setId: null, lane: laneOf(kind, row.id), wish }));
    } catch (error) {
      if (!isFailure(error, laneTaken)) throw error;
      throw repositoryBusy({ repository: row.name, session: String(error.details['session']) }, error);
    }
  }

  return {
    'repository.add': async ({ body }) => await archives.view(await archives.add({ ...body, host: (await services.hosts.find(body.host)).id, isDefault: false, passphraseFile: null })),
    'repository.import': async ({ body }) => await archives.view(await importRepository({ ...body, host: (await services.hosts.find(body.host)).id }, services)),
    'repository.adopt': async ({ params, body }) => await adopt(await archives.find(params.repository), body.apply, services),
    'repository.list': async () => ({ repositories: await Promise.all((await catalog.repositories.list()).map(archives.view)) }),
    'repository.show': async ({ params }) => await archives.view(await archives.find(params.repository)),
    'repository.limit': async ({ params, body }) => {
      const row = await archives.setLimits(await archives.find(params.repository), body);
      services.policies.wake();
      return await archives.view(row);
    },
    'repository.immutable': async ({ params, body }) => await archives.view(await archives.raise(await archives.writable(params.repository), body.days)),
    'repository.gateway': async ({ params, body }) => {
      const row = await archives.find(params.repository);
      return await archives.view(await archives.setGateways(row, readGateways(row, body, await services.hosts.list())));
    },
    'repository.reread': async ({ params, body }) => {
      const row = await archives.writable(params.repository);
      await services.rereads.set(row, body);
      return await archives.view(row);
    },
    'repository.sweeps': async ({ params, body }) => {
      const row = await archives.writable(params.repository);
      await services.sweeps.set(row, body);
      return await archives.view(row);
    },
    'repository.check': async ({ params, body }) => {
      const row = await archives.find(params.repository);
      return await start(row, 'check', { repository: row.id, readDataPercent: body.readDataPercent, slice: null, nightMs: null, only: null });
    },
    'repository.test': async ({ params, body }) => {
      const row = await archives.writable(params.repository);
      const host = body.host === null ? row.host : (await services.hosts.find(body.host)).id;
      if (host !== row.host && !isOpenedStraight(locationOf(row))) throw questionNotUnderstood({ where: 'body', why: `repository ${row.name} is opened by its own host only` });
      return await start(row, 'test', { repository: row.id, host, megabytes: body.megabytes });
    },
    'repository.repair': async ({ params, body }) => {
      const row = await archives.writable(params.repository);
      const other = body.from === null ? null : await archives.find(body.from);
      if (other?.id === row.id) throw copyToItself({ set: row.name, repository: row.name });
      return await start(row, 'repair', { repository: row.id, from: other?.id ?? null });
    },
    'repository.sweep': async ({ params }) => {
      const row = await archives.writable(params.repository);
      return await start(row, 'sweep', { repository: row.id, isByItself: false });
    },
  };
}
