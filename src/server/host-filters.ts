/** The filters over hosts that are always there: unmanaged, out of date, offline, untrusted. */
import type { Catalog } from '../catalog/catalog.ts';
import type { FoundComputer, Host, HostFilter } from '../contract/routes/hosts.ts';
import { knownNode } from './computer-nodes.ts';
import type { HostKeys } from './host-keys.ts';
import { localHost, type Hosts } from './hosts.ts';

export async function listHosts(filter: HostFilter | undefined, { catalog, hosts, hostKeys }: { catalog: Catalog; hosts: Hosts; hostKeys: HostKeys }): Promise<{ hosts: Host[]; found: FoundComputer[] }> {
  const [rows, groups, computers, keys] = await Promise.all([hosts.list(), catalog.groups.list(), catalog.groups.allComputers(), hostKeys.list()]);
  const groupNames = new Map(groups.map(({ id, name }) => [id, name]));
  const untrusted = new Set(keys.filter(({ state }) => state !== 'trusted').map(({ host }) => host));
  const found = computers
    .filter((computer) => knownNode(computer, rows) === undefined)
    .map(({ name, address, group_id, in_scope, says }) => ({ name, address, group: groupNames.get(group_id) ?? '', isInScope: in_scope === 1, says }));
  const all = rows.map(hosts.view);
  switch (filter) {
    case undefined:
      return { hosts: all, found };
    case 'unmanaged':
      return { hosts: all.filter(({ state }) => state === 'expected'), found };
    case 'out-of-date':
      return { hosts: all.filter((host) => host.id !== localHost && host.outOfDate), found: [] };
    case 'offline':
      return { hosts: all.filter(({ state, link }) => state === 'enrolled' && link !== 'connected'), found: [] };
    case 'untrusted':
      return { hosts: all.filter(({ address }) => untrusted.has(address)), found: found.filter(({ address }) => untrusted.has(address)) };
  }
}
