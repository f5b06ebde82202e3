import { laneTaken } from '../../../catalog/failures.ts';
import type { GroupRow } from '../../../catalog/groups.ts';
import { isFailure } from '../../../base/failure.ts';
import type { Group } from '../../../contract/groups.ts';
import { groupBusy } from '../../group-failures.ts';
import { testGroup } from '../../group-test.ts';
import { viewGroup } from '../../group-view.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type GroupRoutes = 'group.add' | 'group.list' | 'group.show' | 'group.edit' | 'group.remove' | 'group.enable' | 'group.rescan' | 'group.test';

export function groupHandlers(services: Services): Pick<Handlers, GroupRoutes> {
  const { groups, catalog, rescans, viewSession } = services;
  const view = async (row: GroupRow): Promise<Group> => await viewGroup(row, services);
  const changed = async (row: GroupRow): Promise<Group> => {
    rescans.wake();
    return await view(row);
  };
  return {
    'group.add': async ({ body }) => await changed(await groups.add(body)),
    'group.list': async () => ({ groups: await Promise.all((await groups.list()).map(view)) }),
    'group.show': async ({ params }) => await view(await groups.find(params.group)),
    'group.edit': async ({ params, body }) => await changed(await groups.edit(await groups.find(params.group), body)),
    'group.enable': async ({ params, body }) => await changed(await groups.enable(await groups.find(params.group), body.isEnabled)),

    'group.remove': async ({ params, query }) => {
      const group = await groups.find(params.group);
      const open = (await catalog.sessions.unfinished()).find(({ kind, object_id }) => kind === 'rescan' && object_id === group.id);
      if (open !== undefined) throw groupBusy({ group: group.name, session: open.id });
      await groups.refuseUsed(group);
      const [sets, computers] = [await catalog.groups.sets(group.id), await catalog.groups.computers(group.id)];
      const plan = [`forget group ${group.name} with its ${sets.length} sets and ${computers.length} computers`, 'leave what is protected as it is', 'leave nodes and the services on them as they are'];
      if (query.apply) await groups.remove(group);
      return { applied: query.apply, group: group.name, plan };
    },

    'group.rescan': async ({ params, body }) => {
      const group = await groups.find(params.group);
      const computer = body.computer === undefined ? null : (await groups.findComputer(group, body.computer)).name;
      const set = body.set === undefined ? null : (await groups.findSet(group, body.set)).set_id;
      try {
        return await viewSession(await rescans.start(group, { computer, set, reason: body.reason }));
      } catch (error) {
        if (!isFailure(error, laneTaken)) throw error;
        throw groupBusy({ group: group.name, session: String(error.details['session']) }, error);
      }
    },

    'group.test': async ({ params }) => await testGroup(await groups.find(params.group), services),
  };
}
