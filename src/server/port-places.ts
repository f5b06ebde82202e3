/** Places of repositories that are outside the hosts, as the port plan wants them. */
import type { HostRow } from '../catalog/hosts.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import { isOpenedStraight } from '../contract/repository-place.ts';
import type { OutsideStore } from '../domain/port-inventory.ts';
import { locationOf } from './archives.ts';
import { isLoopback, type PortSettings, type Receiver } from '../domain/port-inventory.ts';
import { gatewaysOf } from './gateways.ts';
import type { Notifications } from './telling/notifications.ts';

/** Whether other hosts send to the repository's host as to any repository; the gateway of a share or a bucket has a row of its own. */
export function isServedByItsHost(row: RepositoryRow): boolean {
  const location = locationOf(row);
  return location.kind === 'directory' || (!location.straight && gatewaysOf(row).through.length > 0);
}

export async function storesOf(rows: readonly RepositoryRow[], hosts: readonly HostRow[], addressesOf: (host: string) => Promise<string[]>): Promise<OutsideStore[]> {
  const stores = rows.map(async (row): Promise<OutsideStore[]> => {
    const location = locationOf(row);
    if (location.kind === 'directory') return [];
    const keeper = hosts.find(({ id }) => id === row.host)?.name ?? null;
    const by = { keeper, gateway: isOpenedStraight(location) ? null : keeper };
    if (location.kind === 'smb') return [{ kind: 'smb', name: location.server, dial: location.server, addresses: await addressesOf(location.server), port: location.port, netbios: location.netbios, ...by }];
    const url = new URL(location.endpoint);
    const tls = url.protocol === 'https:';
    const dial = location.style === 'virtual-host' ? `${location.bucket}.${url.hostname}` : url.hostname;
    return [{ kind: 's3', name: url.hostname, dial, addresses: await addressesOf(dial), port: url.port === '' ? (tls ? 443 : 80) : Number(url.port), tls, ...by }];
  });
  return (await Promise.all(stores)).flat();
}

/** Who notifications go to; a receiver on the server's own machine needs no port of a network. */
export async function receiversOf(notifications: Pick<Notifications, 'list' | 'aboutOf'>, addressesOf: (host: string) => Promise<string[]>): Promise<Pick<PortSettings, 'mail' | 'syslog' | 'snmp' | 'webhooks'>> {
  const found = { mail: [] as Receiver[], syslog: [] as Receiver[], snmp: [] as Receiver[], webhook: [] as Receiver[] };
  for (const row of await notifications.list()) {
    const { host, port, protocol, service } = notifications.aboutOf(row);
    if (!isLoopback(host)) found[row.kind as keyof typeof found].push({ name: host, dial: host, addresses: await addressesOf(host), port, protocol, service });
  }
  return { mail: found.mail, syslog: found.syslog, snmp: found.snmp, webhooks: found.webhook };
}
