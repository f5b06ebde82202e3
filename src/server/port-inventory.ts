/**
 * The machines of this installation as the port plan wants them: the server's own, which is the host `local`, those of other servers on its catalog, the hosts that
 * have enrolled or are expected, the members of protected sets and of those that groups have
 * found. All that is known of hosts comes in here and nowhere else.
 */
import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { withDeadline } from '../base/deadline.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { OrderGiven, OrderName, OrderOutput } from '../contract/orders.ts';
import type { CallOptions } from '../contract/link/caller.ts';
import type { DirectorySettings } from '../contract/directory.ts';
import { discovered, hostAndPort } from '../contract/values.ts';
import { isLoopback, usualSettings, type Inventory, type Machine, type OutsideService, type PlannedHost, type PlannedDirectory, type PlannedSet, type RepositoryWay } from '../domain/port-inventory.ts';
import { gatewaysOf, nameGateways } from './gateways.ts';
import { lookOf } from './groups.ts';
import { localHost } from './hosts.ts';
import type { NameServers } from './name-checks.ts';
import { isServedByItsHost, receiversOf, storesOf } from './port-places.ts';
import type { Services } from './services.ts';

/** What a check needs of a link to a host. */
export type PortCaller = { call<N extends OrderName>(name: N, input: OrderGiven<N>, options?: CallOptions<N> & { waitMs?: number }): Promise<OrderOutput<N>> };

export type KnownInventory = { readonly inventory: Inventory; linkOf(host: PlannedHost): PortCaller | undefined };

const lookupMs = 3_000;

type Known = Pick<Services, 'notifications' | 'sets' | 'hosts' | 'links' | 'catalog' | 'hostKeys' | 'distribution' | 'nameServers' | 'about'> & { directory: Pick<Services['directory'], 'settings'> };

export async function inventoryOf({ sets, hosts, links, catalog, hostKeys, distribution, nameServers, directory, notifications, about }: Known): Promise<KnownInventory> {
  const { url, hostPorts, catalogAt, announced } = about();
  const machine = { dial: announced ?? hostname(), addresses: ownAddresses() };
  const rows = await sets.list();
  const looked = rows.map((row) => ({ row, ...discovered.parse(JSON.parse(row.discovered)) }));
  const repositories = await catalog.repositories.list();
  const members = new Set(looked.flatMap(({ local }) => local.map(({ host }) => host ?? localHost)));
  const known = await hosts.list();
  const ways = (row: HostRow): RepositoryWay[] => repositories.filter((repository) => repository.host === row.id && isServedByItsHost(repository)).map((repository) => nameGateways(repository, known)).map(({ through, hosts: behind }) => ({ gateways: through, hosts: behind }));
  const stores = await storesOf(repositories, known, addressesOf);
  const copies = await catalog.copies.list();
  const hostOf = (repository: string | undefined): string | undefined => repositories.find(({ id }) => id === repository)?.host;
  const copiesFrom = (row: HostRow): string[] => {
    const read = copies.flatMap(({ set_id, repository }) => (hostOf(repository) === row.id ? [hostOf(rows.find(({ id }) => id === set_id)?.repository)] : []));
    return known.filter(({ id }) => id !== row.id && read.includes(id)).map(({ name }) => name);
  };
  const isGateway = (row: HostRow): boolean => stores.some(({ gateway }) => gateway === row.name) || repositories.some((repository) => gatewaysOf(repository).through.includes(row.id));
  const keys = await hostKeys.list();
  const depot = distribution.at;
  const isDepot = (row: HostRow): boolean => depot !== null && !depot.isLocal && row.address === depot.host;
  const plannedHosts = await Promise.all(
    known.map(async (row): Promise<PlannedHost> => {
      const works: PlannedHost['roles'] = [
        ...(members.has(row.id) ? (['mongodb'] as const) : []),
        ...(ways(row).length > 0 ? (['repository'] as const) : []),
        ...(isGateway(row) ? (['gateway'] as const) : []),
        ...(isDepot(row) ? (['distribution'] as const) : []),
      ];
      const place = row.id === localHost ? machine : { dial: row.address, addresses: await addressesOf(row.address) };
      return {
        ...place,
        name: row.name,
        platform: row.platform === 'windows' ? 'windows' : 'linux',
        // One that has nothing yet will get it in one way or the other.
        isPushed: row.pushed_ms !== null || (row.state === 'expected' && row.deployer_ms === null),
        roles: works.length === 0 ? ['target'] : works,
        // Known where a first contact was made; one that enrolled with a kit needs no SSH.
        sshPort: row.id === localHost ? null : (keys.find(({ host }) => host === row.address)?.port ?? null),
        deployerPort: row.deployer_port,
        controlPort: row.control_port,
        dataPorts: { from: row.data_from, to: row.data_to },
        singlePort: row.single_port === 1,
        ways: ways(row),
        copiesFrom: copiesFrom(row),
        dialling: row.dials === 'host' ? 'host' : 'server',
      };
    }),
  );
  const planned: PlannedSet[] = [];
  for (const { row, name: replicaSet, members: all } of looked) {
    const [seed] = hostAndPort.array().parse(JSON.parse(row.hosts));
    const found = await Promise.all(all.map(async ({ host, port, hidden, state }) => ({ host, port, addresses: await addressesOf(host), isShown: !hidden && state !== 'arbiter' })));
    const { srv } = sets.target(row);
    planned.push({ name: row.name, replicaSet, members: found, ...(seed !== undefined && { seed: `${seed.host}:${seed.port}` }), ...(srv !== undefined && { srv }) });
  }
  for (const row of (await catalog.groups.allSets()).filter(({ set_id }) => !rows.some(({ id }) => id === set_id))) {
    const { name, members: all } = lookOf(row);
    planned.push({ name, members: await Promise.all(all.map(async ({ host, port }) => ({ host, port, addresses: await addressesOf(host) }))), seed: `${row.seed_host}:${row.seed_port}` });
  }
  const settings = { ...usualSettings, restPort: Number(new URL(url).port || 443), ...hostPorts, isDepotHere: depot?.isLocal === true, stores, dnsServers: outsideServers(await nameServers()), directory: await directoryOf(await directory.settings()), postgresql: catalogAt === undefined ? null : { name: catalogAt.host, dial: catalogAt.host, addresses: await addressesOf(catalogAt.host), port: catalogAt.port }, ...(await receiversOf(notifications, addressesOf)) };
  return {
    inventory: { servers: [{ ...machine, name: hostname() }, ...(await otherServers(catalog))], hosts: plannedHosts, sets: planned, settings },
    linkOf: (host) => {
      const row = known.find(({ name, state }) => name === host.name && state === 'enrolled');
      return row === undefined ? undefined : links.of(row.id);
    },
  };
}

/** Servers on the same catalog: each may do at any time what this one does. A server's name is its machine and its data directory; two on one machine are one. */
async function otherServers(catalog: Known['catalog']): Promise<Machine[]> {
  const found = new Map<string, Machine>();
  for (const { name: full, host } of await catalog.servers.others()) {
    const name = full.slice(0, full.indexOf(':'));
    const dial = host ?? name;
    if (name !== hostname() && !found.has(name)) found.set(name, { name, dial, addresses: await addressesOf(dial) });
  }
  return [...found.values()];
}

/** UDP is for finding a server, and ours are named. */
async function directoryOf(settings: DirectorySettings | undefined): Promise<PlannedDirectory | null> {
  if (settings === undefined) return null;
  const servers = await Promise.all(settings.servers.map(async ({ host, port }) => ({ name: host, dial: host, addresses: await addressesOf(host), port })));
  return { servers, encryption: settings.encryption, isActiveDirectory: false };
}

/** Addresses that others can have this machine by; a machine without a network has its loopback. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outward = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:')).map(({ address }) => address);
  return outward.length > 0 ? outward : ['127.0.0.1'];
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await withDeadline(`the address of ${host}`, lookupMs, async () => await lookup(host, { all: true })).catch(() => []);
  return found.map(({ address }) => address);
}

/** One on the server's own machine needs no port of a network. */
function outsideServers(nameServers: NameServers | null): OutsideService[] {
  return (nameServers?.servers ?? []).filter(({ address }) => !isLoopback(address)).map(({ address, port }) => ({ name: address, dial: address, addresses: [address], port }));
}
