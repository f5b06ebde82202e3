/** Places of repositories that are outside the hosts, as the port plan wants them. */
import type { HostRow } from '../catalog/hosts.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import { isOpenedStraight } from '../contract/repository-place.ts';
import type { PortSettings } from '../domain/port-inventory.ts';
import { locationOf } from './archives.ts';
import { gatewaysOf } from './gateways.ts';

/** Whether other hosts send to the repository's host as to any repository; the gateway of a bucket has a row of its own. */
export function isServedByItsHost(row: RepositoryRow): boolean {
  const location = locationOf(row);
  return location.kind !== 's3' || (!location.straight && gatewaysOf(row).through.length > 0);
}

export async function objectStoresOf(rows: readonly RepositoryRow[], hosts: readonly HostRow[], addressesOf: (host: string) => Promise<string[]>): Promise<PortSettings['objectStores']> {
  const stores = rows.map(async (row) => {
    const location = locationOf(row);
    if (location.kind !== 's3') return [];
    const url = new URL(location.endpoint);
    const isEncrypted = url.protocol === 'https:';
    const dial = location.style === 'virtual-host' ? `${location.bucket}.${url.hostname}` : url.hostname;
    const keeper = hosts.find(({ id }) => id === row.host)?.name ?? null;
    const port = url.port === '' ? (isEncrypted ? 443 : 80) : Number(url.port);
    return [{ name: url.hostname, dial, addresses: await addressesOf(dial), port, isEncrypted, keeper, gateway: isOpenedStraight(location) ? null : keeper }];
  });
  return (await Promise.all(stores)).flat();
}
