import { laneTaken } from '../../../catalog/failures.ts';
import { isFailure } from '../../../base/failure.ts';
import type { Session } from '../../../contract/sessions.ts';
import { repositoryOther, setBusy } from '../../failures.ts';
import { plainBackup, type BackupWish } from '../../flows/backup.ts';
import type { OplogFindWish } from '../../flows/oplog-find.ts';
import { laneOf, type NewSessionWish } from '../../session-engine.ts';
import type { Handlers } from '../app.ts';
import type { Services } from '../../services.ts';
import { setArchive } from '../../set-archive.ts';
import { endlessSessionKinds } from '../../../contract/sessions.ts';

/** Opens a session about a set, and says which one is in the way when it cannot. */
export async function startOnSet(services: Services, set: { readonly id: string; readonly name: string }, wish: Omit<NewSessionWish, 'object' | 'setId' | 'lane'>, before?: (id: string) => Promise<void>): Promise<Session> {
  const object = { kind: 'set', id: set.id, name: set.name } as const;
  try {
    return await services.viewSession(await services.engine.start({ ...wish, object, setId: set.id, lane: laneOf(wish.kind, set.id) }, before));
  } catch (error) {
    if (!isFailure(error, laneTaken)) throw error;
    throw setBusy({ set: set.name, session: String(error.details['session']) }, error);
  }
}

type SetRoutes = 'set.add' | 'set.list' | 'set.show' | 'set.remove' | 'set.window' | 'backup.run' | 'oplog.find' | 'oplog.pause' | 'oplog.resume' | 'oplog.every';

export function setHandlers(services: Services): Pick<Handlers, SetRoutes> {
  const { sets, groups, engine, catalog, moments, standings, archives, oplogModes } = services;
  return {
    'set.add': async ({ body }) => {
      const { found, ...wanted } = body;
      const target = wanted.target ?? (await groups.foundTarget(found!.set, found!.group));
      const row = await sets.add({ ...wanted, target });
      await services.keepOplog(row);
      return await sets.view(row);
    },
    'set.list': async () => ({ sets: await Promise.all((await sets.list()).map(sets.view)) }),
    'set.show': async ({ params }) => await sets.view(await sets.find(params.set)),

    'set.remove': async ({ params, query }) => {
      const set = await sets.find(params.set);
      const open = (await catalog.sessions.unfinished()).filter(({ set_id }) => set_id === set.id);
      const inTheWay = open.find(({ kind }) => !endlessSessionKinds.has(kind));
      if (inTheWay !== undefined) throw setBusy({ set: set.name, session: inTheWay.id });
      const points = (await catalog.points.list(set.id)).filter(({ repository }) => repository === set.repository).length;
      const copied = await services.copies.ofSet(set.id);
      const repository = await archives.find(set.repository);
      const plan = [
        `stop following the oplog of ${set.name}`,
        `forget how to reach and sign in to ${set.name}`,
        `keep ${points} restore points and the archived oplog in repository ${repository.name}`,
        ...(await Promise.all(copied.map(async (copy) => `end the copy ${await services.copies.nameOf(copy)}; what was copied stays`))),
      ];
      if (query.apply) {
        for (const copy of copied) await services.copies.end(copy);
        for (const { id } of open) await engine.end(id);
        await sets.remove(set);
      }
      return { applied: query.apply, set: set.name, points, sessions: open.map(({ id }) => id), plan };
    },

    'set.window': async ({ params, query }) => {
      const set = await setArchive(params.set, query.repository, services);
      const window = await moments.window(set);
      const own = await catalog.sets.find(set.id);
      const oplog = await standings.view(set.id, own === undefined ? [] : services.points.good(await services.points.list(set.id), own.repository));
      return { ...window, set: set.name, oplog };
    },

    'backup.run': async ({ params, body }) => {
      const set = await sets.find(params.set);
      if (body.repository !== undefined) {
        const wanted = await archives.writable(body.repository);
        if (wanted.id !== set.repository) throw repositoryOther({ set: set.name, repository: (await archives.find(set.repository)).name, wanted: wanted.name });
      }
      const { fullRead, method = null, dropClone, windowSeconds, compression, source = null, reason } = body;
      const wish: BackupWish = { ...plainBackup(set.id), fullRead, method, dropClone, windowSeconds, compression, source };
      return await startOnSet(services, set, { kind: 'backup', wish, reason });
    },

    'oplog.pause': async ({ params, body }, { who }) => {
      const set = await sets.find(params.set);
      await oplogModes.pause(set, who, body.reason);
      return await sets.view(await sets.find(set.id));
    },
    'oplog.resume': async ({ params }) => {
      const set = await sets.find(params.set);
      await oplogModes.resume(set);
      return await sets.view(await sets.find(set.id));
    },
    'oplog.every': async ({ params, body }) => {
      const set = await sets.find(params.set);
      await oplogModes.every(set, body.everyMinutes);
      return await sets.view(await sets.find(set.id));
    },

    'oplog.find': async ({ params, body }) => {
      const set = await sets.find(params.set);
      const { ns, op, match, limit } = body;
      const wish: OplogFindWish = { setId: set.id, ns, op, match, limit, since: await moments.border(set, 'since', body.since), until: await moments.border(set, 'until', body.until) };
      return await startOnSet(services, set, { kind: 'oplog-find', wish });
    },
  };
}
